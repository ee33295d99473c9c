"""What the tracker counts: items as they come in, and its database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicekit.metrics import counter, gauge, histogram
from tracker_service.export_workflow import metrics as export_workflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from servicekit.metrics import Meter

ITEMS_STORED = counter(
    "stellwerk_tracker_items_stored_total", "Items that are stored now, repeats included."
)
ITEMS_REFUSED = counter(
    "stellwerk_tracker_items_refused_total",
    "Items that will never be stored, by the reason that their producer was told.",
    "reason",
)
BATCHES = counter("stellwerk_tracker_batches_total", "Batches of items, plans and heartbeats.")
BATCH_SECONDS = histogram(
    "stellwerk_tracker_batch_seconds", "From the arrival of a batch to its commit."
)
STREAMS = gauge("stellwerk_tracker_record_streams", "Recorders that have a stream open.")
DATABASE_SECONDS = histogram(
    "stellwerk_database_seconds",
    "Duration of transactions (`write`, many batches each) and queries (`read`).",
    "kind",
)
WRITES_WAITING = gauge(
    "stellwerk_database_writes_waiting", "Changes that wait for the next transaction."
)
INTERRUPTED = counter(
    "stellwerk_tracker_executions_interrupted_total",
    "Executions whose owner gave no sign of life for the time of their lease.",
)

DEFINITIONS = (
    ITEMS_STORED,
    ITEMS_REFUSED,
    BATCHES,
    BATCH_SECONDS,
    STREAMS,
    DATABASE_SECONDS,
    WRITES_WAITING,
    INTERRUPTED,
    *export_workflow.DEFINITIONS,
)


class TrackerMetrics:
    """Counts what comes in and how long the database takes."""

    def __init__(self, meter: Meter) -> None:
        """Count with `meter`."""
        self._meter = meter
        self._stored = meter.count(ITEMS_STORED)
        self._refused = meter.count(ITEMS_REFUSED)
        self._batches = meter.count(BATCHES)
        self._batch_seconds = meter.distribution(BATCH_SECONDS)
        self._database = meter.distribution(DATABASE_SECONDS)
        self._interrupted = meter.count(INTERRUPTED)

    def batch_stored(self, accepted_count: int, seconds: float) -> None:
        """Count a batch that is committed."""
        self._batches.add()
        self._stored.add(amount=accepted_count)
        self._batch_seconds.observe(seconds)

    def item_refused(self, reason: str) -> None:
        """Count an item that was not stored."""
        self._refused.add(reason)

    def interrupted(self, count: int) -> None:
        """Count executions that lost their owner."""
        self._interrupted.add(amount=count)

    def database_used(self, kind: str, seconds: float) -> None:
        """Count a transaction or a query; from any thread."""
        self._database.observe(seconds, kind)

    def read_streams(self, count: Callable[[], int]) -> None:
        """Ask how many streams are open."""
        self._meter.read(STREAMS, count)

    def read_writes(self, waiting: Callable[[], int]) -> None:
        """Ask how many changes wait."""
        self._meter.read(WRITES_WAITING, waiting)

"""What the orchestrator counts: executions, their stages, and what waits for the tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicekit.metrics import LONG_SECONDS, counter, gauge, histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from servicekit.metrics import Meter
    from stellwerk_client.recorder import RecorderStats

EXECUTION_SECONDS = histogram(
    "stellwerk_execution_seconds",
    "Duration of executions by the state they ended in, the time that people edited included.",
    "state",
    buckets=LONG_SECONDS,
)
EXECUTION_FAILURES = counter(
    "stellwerk_execution_failures_total",
    "Executions that ended FAILED, by the stage they had reached and the reason.",
    "stage",
    "reason",
)
EXECUTIONS_RUNNING = gauge(
    "stellwerk_executions_running", "Executions in this process that have not ended.", "state"
)
STAGE_SECONDS = histogram(
    "stellwerk_stage_seconds",
    "Duration of stages; `phase` tells the halves of stage 2 apart; `outcome` is finished, blocked "
    "or failed.",
    "stage",
    "phase",
    "outcome",
    buckets=LONG_SECONDS,
)
ITEMS_TAKEN = counter("stellwerk_recorder_items_taken_total", "Items that the recorder took.")
ITEMS_ACKED = counter(
    "stellwerk_recorder_items_acked_total", "Items that the tracker has committed."
)
ITEMS_REFUSED = counter(
    "stellwerk_recorder_items_refused_total", "Items that the tracker will never accept."
)
ITEMS_DROPPED = counter(
    "stellwerk_recorder_items_dropped_total",
    "Items that are lost: neither disk nor memory had room, or they could not be encoded.",
)
ITEMS_UNACKED = gauge(
    "stellwerk_recorder_items_unacked", "Items taken that the tracker has not answered yet."
)
ITEMS_IN_MEMORY = gauge(
    "stellwerk_recorder_items_in_memory",
    "Items that only memory holds, since the disk of the spool fails.",
)
SPOOL_BYTES = gauge("stellwerk_recorder_spool_bytes", "Size of the spool on the disk.")
SPOOL_QUOTA_BYTES = gauge(
    "stellwerk_recorder_spool_quota_bytes", "Size that the spool may have at most."
)
TRACKER_CONNECTED = gauge(
    "stellwerk_recorder_connected", "1: the recorder has a stream to the tracker, or opens one."
)

DEFINITIONS = (
    EXECUTION_SECONDS,
    EXECUTION_FAILURES,
    EXECUTIONS_RUNNING,
    STAGE_SECONDS,
    ITEMS_TAKEN,
    ITEMS_ACKED,
    ITEMS_REFUSED,
    ITEMS_DROPPED,
    ITEMS_UNACKED,
    ITEMS_IN_MEMORY,
    SPOOL_BYTES,
    SPOOL_QUOTA_BYTES,
    TRACKER_CONNECTED,
)


class ExecutionMetrics:
    """Counts executions and stages as they end."""

    def __init__(self, meter: Meter) -> None:
        """Count with `meter`."""
        self._executions = meter.distribution(EXECUTION_SECONDS)
        self._failures = meter.count(EXECUTION_FAILURES)
        self._stages = meter.distribution(STAGE_SECONDS)

    def stage_ended(self, stage: int, phase: str, outcome: str, seconds: float) -> None:
        """Count a stage, or a phase of stage 2."""
        self._stages.observe(seconds, str(stage), phase, outcome)

    def execution_ended(self, state: str, seconds: float) -> None:
        """Count an execution."""
        self._executions.observe(seconds, state)

    def execution_failed(self, stage: int, reason: str) -> None:
        """Count why one ended FAILED."""
        self._failures.add(str(stage), reason)


def read_running(meter: Meter, counts: Callable[[], Mapping[str, int]]) -> None:
    """Let `meter` ask how many executions there are in each state that is no end."""
    meter.read(EXECUTIONS_RUNNING, lambda: {(state,): count for state, count in counts().items()})


def read_recorder(meter: Meter, stats: Callable[[], RecorderStats], quota_bytes: int) -> None:
    """Let `meter` ask the recorder, which counts anyway: recording an item costs nothing more."""
    meter.read(ITEMS_TAKEN, lambda: stats().taken + stats().adopted)
    meter.read(ITEMS_ACKED, lambda: stats().acked)
    meter.read(ITEMS_REFUSED, lambda: stats().refused)
    meter.read(ITEMS_DROPPED, lambda: stats().dropped)
    meter.read(ITEMS_UNACKED, lambda: stats().pending)
    meter.read(ITEMS_IN_MEMORY, lambda: stats().in_memory)
    meter.read(SPOOL_BYTES, lambda: stats().spool_bytes)
    meter.read(SPOOL_QUOTA_BYTES, lambda: quota_bytes)
    meter.read(TRACKER_CONNECTED, lambda: stats().connected)

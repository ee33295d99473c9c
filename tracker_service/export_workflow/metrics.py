"""What export workflows count: how stages end, how long they take, what documents come of them."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from servicekit.errors import InternalError, ServiceError, UnavailableError
from servicekit.metrics import LONG_SECONDS, counter, histogram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servicekit.metrics import Meter
    from tracker_service.export_workflow.model import Deliverable, Stage

STAGES_STARTED = counter(
    "stellwerk_export_stages_started_total", "Stages of export workflows that began.", "stage"
)
STAGE_SECONDS = histogram(
    "stellwerk_export_stage_seconds",
    "Duration of stages of export workflows by how they ended: `finished`, `refused` (as its "
    "caller could know), `failed` or `left` by the caller.",
    "stage",
    "outcome",
    buckets=LONG_SECONDS,
)
DOCUMENT_BYTES = histogram(
    "stellwerk_export_document_bytes",
    "Size of the documents that export workflows made.",
    "format",
    buckets=(1e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 1e8),
)

DEFINITIONS: Final = (STAGES_STARTED, STAGE_SECONDS, DOCUMENT_BYTES)
_FAILURES: Final = (UnavailableError, InternalError)
"""What is nobody's wish; other errors tell a caller what to change."""


class WorkflowMetrics:
    """Counts stages and documents."""

    def __init__(self, meter: Meter) -> None:
        """Count with `meter`."""
        self._started = meter.count(STAGES_STARTED)
        self._seconds = meter.distribution(STAGE_SECONDS)
        self._bytes = meter.distribution(DOCUMENT_BYTES)

    @contextlib.contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Count a stage that is done inside."""
        name = stage.name.lower()
        self._started.add(name)
        began, outcome = time.perf_counter(), "left"
        try:
            yield
            outcome = "finished"
        except Exception as exc:
            refused = isinstance(exc, ServiceError) and not isinstance(exc, _FAILURES)
            outcome = "refused" if refused else "failed"
            raise
        finally:
            self._seconds.observe(time.perf_counter() - began, name, outcome)

    def document(self, deliverable: Deliverable) -> None:
        """Count a document that is stored."""
        self._bytes.observe(deliverable.file_size_bytes, deliverable.file_format)

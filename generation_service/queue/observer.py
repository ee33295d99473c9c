"""What a queue tells whoever counts and traces its jobs; it knows neither metrics nor traces."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from servicekit.context import CallContext, within_call
from servicekit.principals import acting_as
from servicekit.spans import NoSpan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generation_service.queue.endings import Ending
    from generation_service.queue.entry import Entry
    from generation_service.queue.jobs import Job


class JobObserver(Protocol):
    """Hears of jobs."""

    def attempting(self, entry: Entry) -> AbstractContextManager[object]:
        """A worker begins with a job; it ends, however, when the context is left."""

    def ended(self, entry: Entry, ending: Ending) -> None:
        """A job has ended."""


class Unobserved:
    """Nobody listens."""

    def attempting(self, entry: Entry) -> AbstractContextManager[object]:
        """Do nothing."""
        return nullcontext()

    def ended(self, entry: Entry, ending: Ending) -> None:
        """Do nothing."""


@contextlib.contextmanager
def on_behalf_of(job: Job) -> Iterator[None]:
    """Let log lines and calls of a block name the job's own request, session and trace.

    A job begins when another one ends, in that one's context: without this its lines would name
    a neighbour.
    """
    call = CallContext(
        request_id=job.request_id, execution_id=job.execution_id, span=NoSpan(job.traceparent)
    )
    with within_call(call), acting_as(job.owner):
        yield

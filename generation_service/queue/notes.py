"""What a queue writes down, so that it outlives its process, and reads back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from servicekit.errors import InternalError

if TYPE_CHECKING:
    from generation_service.queue.entry import Entry
    from generation_service.queue.jobs import JobEvent, JobState


@dataclass(frozen=True)
class JobRow:
    """A job as the journal knows it; see `Entry` for the other fields.

    Attributes:
        start_time: When its last attempt began, seconds since 1970; 0: it has not begun.
    """

    job_id: str
    state: JobState
    queue_time: float
    job: str
    attempt: int
    attempt_id: str
    worker: str
    wait_seconds: float
    story: str
    start_time: float = 0.0


@dataclass(frozen=True)
class WorkerNote:
    """What was said about a worker by RPC.

    Attributes:
        address: Its address, or its name when it is part of the service.
        presence: `added`, `removed`, or empty: as the settings say.
        draining: Whether it takes no further job.
    """

    address: str
    presence: str = ""
    draining: bool = False


class JournalError(InternalError):
    """The journal cannot be written or read, such as when the disk is full."""

    def __init__(self) -> None:
        """Tell a caller nothing about the disk."""
        super().__init__("INTERNAL", "Internal error.")


class Journal(Protocol):
    """Notes about jobs, workers and the queue. All of it raises JournalError."""

    async def rows(self) -> list[JobRow]:
        """All jobs, in the order in which they came."""

    async def note_queued(self, entry: Entry) -> None:
        """A job waits: a new one, or one whose attempt has failed."""

    async def note_started(self, entry: Entry) -> None:
        """An attempt is about to begin."""

    async def note_ended(self, entry: Entry, story: list[JobEvent]) -> None:
        """A job has ended: its prompt is dropped, its outcome is kept for a while.

        Args:
            entry: The job.
            story: Its outputs and its end.
        """

    async def drop(self, job_id: str) -> None:
        """Forget a job that cannot be read any more."""

    async def erase(self, execution_id: str) -> None:
        """Forget the jobs of an execution that have ended, to the last byte.

        Args:
            execution_id: Whose jobs they were.
        """

    async def worker_notes(self) -> list[WorkerNote]:
        """What was said about workers."""

    async def note_worker(self, note: WorkerNote) -> None:
        """Remember what was said about a worker."""

    async def fact(self, name: str) -> str:
        """A fact about the queue; empty when it was never noted."""

    async def note_fact(self, name: str, value: str) -> None:
        """Remember a fact about the queue."""

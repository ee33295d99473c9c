"""What a queue promises; the same for every kind of queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from servicekit.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence

    from generation_service.queue.jobs import Job, JobEvent, JobState, JobView
    from servicekit.principals import Principal


@dataclass(frozen=True)
class QueueLimits:
    """What a queue bounds.

    Attributes:
        waiting: Jobs that wait, of all sessions.
        waiting_per_session: Jobs that wait, of one session.
        running_per_session: Jobs that run at the same time, of one session.
        wait_seconds: How long a job may wait before it expires.
        load_seconds: How long a worker may load models before the work begins.
        run_seconds: How long the work of one attempt may take.
        cancel_seconds: How long a worker has to end an attempt; after that it counts as hung.
        resume_seconds: How long the worker of a job that ran before a restart has to come back.
        attempts: How often a job is tried when workers fail it.
        remembered: Ended jobs that can still be asked for.
    """

    waiting: int = 1000
    waiting_per_session: int = 20
    running_per_session: int = 8
    wait_seconds: float = 600.0
    load_seconds: float = 300.0
    run_seconds: float = 120.0
    cancel_seconds: float = 30.0
    resume_seconds: float = 60.0
    attempts: int = 2
    remembered: int = 1000


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are listed.

    Attributes:
        states: Empty: all.
        execution_id: Empty: all.
    """

    states: Collection[JobState] = ()
    execution_id: str = ""


@dataclass(frozen=True)
class QueueStatus:
    """How full the queue is.

    Attributes:
        waiting: Jobs that wait.
        running: Jobs that run.
        own_waiting: Jobs of the caller's session that wait.
        own_running: Jobs of the caller's session that run.
        sessions: Sessions that have jobs waiting.
        paused: Whether no job begins for now.
        estimate_seconds: Until all that waits now has begun; None: not known.
    """

    waiting: int
    running: int
    own_waiting: int
    own_running: int
    sessions: int
    paused: bool
    estimate_seconds: float | None


class JobQueue(Protocol):
    """A fair queue of jobs."""

    async def submit(self, job: Job) -> str:
        """Take a job; it is kept durably when this returns.

        Returns:
            Its id, or that of the job that came before with the same idempotency key. One that
            its caller has left, or that never had its turn, is not found again.

        Raises:
            QueueFullError: Too many wait, in all or of this session.
            NoWorkerError: No worker of the job's backend is known.
            NotSupportedError: No worker has what the job needs.
        """

    def watch(
        self, job_id: str, *, after: int = 0, observer: Principal | None = None
    ) -> AsyncGenerator[JobEvent, None]:
        """Stream the events of a job to its end. Close the generator (`aclosing`) to leave.

        Args:
            job_id: The job.
            after: Leave out events up to this sequence number.
            observer: Who looks on; must be allowed to see the job. None: the caller whose job it
                is; when it leaves and nobody else watches, the job is cancelled unless it is
                detached.

        Raises:
            JobNotFoundError: There is no such job for the observer.
            QueueClosedError: The service stops; the job goes on after its restart.
        """

    async def cancel(self, job_id: str, caller: Principal) -> JobState:
        """End a waiting or running job, durably; an ended one stays as it is.

        Returns:
            The state afterwards.

        Raises:
            JobNotFoundError: Unknown, or not the caller's.
            QueueClosedError: The service stops; cancel again.
        """

    async def erase(self, execution_id: str) -> None:
        """End the jobs of an execution and forget them, also on the disk.

        Nobody can ask for them afterwards. Erasing again is fine.

        Args:
            execution_id: Whose jobs they are.

        Raises:
            JournalError: The disk is full, and the like.
            QueueClosedError: The service stops; erase again.
        """

    async def get(self, job_id: str, caller: Principal) -> JobView:
        """Tell how a job stands.

        Raises:
            JobNotFoundError: Unknown, or not the caller's.
        """

    async def list_jobs(
        self, caller: Principal, wanted: JobFilter, *, before: str, limit: int
    ) -> Sequence[JobView]:
        """Jobs that the caller may see, the latest first.

        Args:
            caller: Who asks.
            wanted: Which ones.
            before: Only those that came before this job id; empty: all.
            limit: At most so many.
        """

    async def status(self, caller: Principal) -> QueueStatus:
        """Tell how full it is."""

    async def pause(self) -> None:
        """Let no further job begin, also after a restart; what runs goes on."""

    async def resume(self) -> None:
        """Let jobs begin again. The time of the pause does not count as waiting."""


class QueueFullError(ResourceExhaustedError):
    """The queue takes no more for now."""

    def __init__(self, retry_seconds: float) -> None:
        """Say in how many seconds to try again."""
        super().__init__(
            "QUEUE_FULL",
            "Too many jobs are waiting. Try again in a moment.",
            retry_seconds=retry_seconds,
        )


class JobNotFoundError(NotFoundError):
    """The job is unknown or somebody else's."""

    def __init__(self, job_id: str) -> None:
        """Name the job."""
        super().__init__(
            "JOB_NOT_FOUND", "There is no such job of yours.", resource=("job", job_id)
        )


class NoWorkerError(FailedPreconditionError):
    """There is no worker that could ever do the job."""

    def __init__(self, backend: str) -> None:
        """Name the backend."""
        super().__init__(
            "NO_WORKER",
            f"No {backend} worker is known here. Add one, or choose another output.",
            resource=("backend", backend),
        )


class NotSupportedError(FailedPreconditionError):
    """The workers of the backend lack what the job needs."""

    def __init__(self, lacks: Sequence[str]) -> None:
        """Say it in one sentence, and to the author what the closest worker lacks."""
        super().__init__(
            "WORKER_LACKS",
            "No worker here has everything that this output needs. Please tell its author.",
            violations=[("workflow", lack) for lack in lacks[:20]],
        )


class QueueClosedError(UnavailableError):
    """The service stops; jobs are kept."""

    def __init__(self) -> None:
        """Say when to come again."""
        super().__init__(
            "DRAINING",
            "The service restarts; the job is kept. Watch it again in a moment.",
            retry_seconds=5.0,
        )


class WorkerNotFoundError(NotFoundError):
    """There is no worker of this name."""

    def __init__(self, name: str) -> None:
        """Name the worker."""
        super().__init__(
            "WORKER_NOT_FOUND", "There is no worker of this name.", resource=("worker", name)
        )


class WorkerFixedError(FailedPreconditionError):
    """The worker is part of this service."""

    def __init__(self, name: str) -> None:
        """Name the worker."""
        super().__init__(
            "WORKER_FIXED",
            "This worker is part of the service; drain it instead.",
            resource=("worker", name),
        )


class AddressInvalidError(InvalidArgumentError):
    """The address of a worker is none."""

    def __init__(self, why: str) -> None:
        """Say what is wrong."""
        super().__init__("ADDRESS_INVALID", why, field="address")

"""Jobs, their events, and what a queue promises; the same for every kind of queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from servicekit.errors import NotFoundError, ResourceExhaustedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from generation_service.backends.interface import MediaPlan
    from generation_service.media.interface import StoredMedia
    from servicekit.principals import Principal


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class Job:
    """One request in the queue.

    Attributes:
        job_id: UUIDv7, made by the service.
        owner: For whom it is; turns are shared among sessions.
        execution_id: The execution it belongs to.
        loop_iteration: Number of the output in the execution, from 1.
        output_config: Id of the output config; durations are measured per config.
        item_id: The item that will hold the first file; empty: not known.
        plan: What to make.
        photographic: Whether what is made may look like a photograph.
        priority: 0 to 9; the session's turns come 1 + priority times as often.
        detach: It goes on when its caller leaves.
        idempotency_key: The same key of the same owner is the same job; empty: none.
        wait_seconds: How long it may wait; None: the queue's limit.
    """

    job_id: str
    owner: Principal
    execution_id: str
    loop_iteration: int
    output_config: str
    item_id: str
    plan: MediaPlan
    photographic: bool = False
    priority: int = 0
    detach: bool = False
    idempotency_key: str = ""
    wait_seconds: float | None = None

    @property
    def turn_key(self) -> str:
        """Whose turn it is when this job is: the session, else the person."""
        return f"s:{self.owner.session}" if self.owner.session else f"u:{self.owner.id}"


@dataclass(frozen=True)
class Queued:
    """It waits.

    Attributes:
        position: Jobs that will run before it.
        estimate_seconds: Until it starts; None: not known yet.
    """

    position: int
    estimate_seconds: float | None


@dataclass(frozen=True)
class Started:
    """A worker has taken it."""

    worker: str
    attempt: int


@dataclass(frozen=True)
class Progress:
    """It goes on."""

    percent: float
    node: str


@dataclass(frozen=True)
class Output:
    """A file is stored."""

    media: StoredMedia
    file_number: int
    photographic: bool


@dataclass(frozen=True)
class Finished:
    """It has ended; always the last event.

    Attributes:
        state: A final state.
        wait_seconds: Time in the queue.
        run_seconds: Time of the work.
        error_reason: Empty when it is DONE.
        error_message: One sentence for people; empty when it is DONE.
    """

    state: JobState
    wait_seconds: float
    run_seconds: float
    error_reason: str = ""
    error_message: str = ""


Happening = Queued | Started | Progress | Output | Finished


@dataclass(frozen=True)
class JobEvent:
    """One event of a job.

    Attributes:
        sequence_number: Number of the event in the job, from 1; may skip what was superseded.
        job: The job.
        happening: What happened.
    """

    sequence_number: int
    job: Job
    happening: Happening


class Worker(Protocol):
    """Does the work of a job."""

    async def run(self, job: Job, report: Callable[[Progress], None]) -> tuple[StoredMedia, ...]:
        """Make and store the files of a job. Cancelling the call ends the work.

        Raises:
            AttemptFailedError: It did not work; the error says whether to try again.
        """


@dataclass(frozen=True)
class QueueLimits:
    """What a queue bounds.

    Attributes:
        slots: Jobs that run at the same time.
        waiting: Jobs that wait, of all sessions.
        waiting_per_session: Jobs that wait, of one session.
        wait_seconds: How long a job may wait before it expires.
        run_seconds: How long one attempt may take.
        attempts: How often a job is tried when workers fail it.
        remembered: Ended jobs that can still be asked for.
    """

    slots: int = 1
    waiting: int = 200
    waiting_per_session: int = 20
    wait_seconds: float = 600.0
    run_seconds: float = 120.0
    attempts: int = 2
    remembered: int = 1000


class JobQueue(Protocol):
    """A fair queue of jobs."""

    def submit(self, job: Job) -> str:
        """Take a job.

        Returns:
            Its id, or that of the job that came before with the same idempotency key.

        Raises:
            QueueFullError: Too many wait, in all or of this session.
        """

    def watch(self, job_id: str) -> AsyncGenerator[JobEvent, None]:
        """Stream the events of a job from the first to its end.

        When the last watcher leaves early, the job is cancelled unless it is detached. Close
        the generator (`aclosing`) to leave.

        Raises:
            JobNotFoundError: There is no such job.
        """

    def cancel(self, job_id: str, caller: Principal) -> JobState:
        """End a waiting or running job; an ended one stays as it is.

        Returns:
            The state afterwards.

        Raises:
            JobNotFoundError: Unknown, or not the caller's.
        """


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


@dataclass
class Durations:
    """Measured run times per output config, for estimates."""

    seconds: dict[str, float] = field(default_factory=dict)
    max_configs: int = 500

    def add(self, output_config: str, seconds: float) -> None:
        """Take a measurement; recent ones weigh more."""
        known = self.seconds.pop(output_config, None)
        self.seconds[output_config] = seconds if known is None else 0.7 * known + 0.3 * seconds
        if len(self.seconds) > self.max_configs:
            self.seconds.pop(next(iter(self.seconds)))

    def typical(self, output_config: str) -> float | None:
        """Seconds that a job of this config takes; of any config if it never ran; else None."""
        if output_config in self.seconds:
            return self.seconds[output_config]
        if not self.seconds:
            return None
        return sum(self.seconds.values()) / len(self.seconds)

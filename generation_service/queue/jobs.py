"""Jobs and their events; the words that queue, workers and callers share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generation_service.backends.interface import MediaPlan, Preview
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
    LOST = "LOST"

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
        previews: Whether its watchers want to see pictures of what is not yet done.
        request_id: Of the call that asked for it, for log lines.
        traceparent: The span in which it was asked for; empty: nothing is traced.
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
    previews: bool = False
    request_id: str = ""
    traceparent: str = ""

    @property
    def turn_key(self) -> str:
        """Whose turn it is when this job is: the session, else the person."""
        return f"s:{self.owner.session}" if self.owner.session else f"u:{self.owner.id}"

    @property
    def own_key(self) -> tuple[str, str, str] | None:
        """What a repeated request is known by; None: it cannot be repeated."""
        if not self.idempotency_key:
            return None
        return (self.owner.id, self.owner.session, self.idempotency_key)


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
    preview: Preview | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Output:
    """A file is stored."""

    media: StoredMedia
    file_number: int
    photographic: bool


@dataclass(frozen=True)
class RunFacts:
    """What a worker tells about how it did a job.

    Attributes:
        backend_job_id: The worker's own id of it; empty: none.
        workflow_sha256: Of the graph that ran; empty: there was none.
        outputs_reused: Whether the worker handed out what it had made before.
        load_seconds: Time until the work itself began.
        warnings: What was not as asked for, one sentence each.
        texts: Texts that the work brought besides files.
    """

    backend_job_id: str = ""
    workflow_sha256: str = ""
    outputs_reused: bool = False
    load_seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finished:
    """It has ended; always the last event.

    Attributes:
        state: A final state.
        wait_seconds: Time in the queue.
        run_seconds: Time on workers, loading included.
        error_reason: Empty when it is DONE.
        error_message: One sentence for people; empty when it is DONE.
        error_detail: What is wrong where, for the author of a workflow; empty: not known.
        facts: How it was done.
    """

    state: JobState
    wait_seconds: float
    run_seconds: float
    error_reason: str = ""
    error_message: str = ""
    error_detail: str = ""
    facts: RunFacts = field(default_factory=RunFacts)


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


@dataclass(frozen=True)
class JobView:
    """A job as it stands now.

    Attributes:
        job: The job; of an ended one the prompt is forgotten.
        state: Where it stands.
        queue_time: When it came, seconds since 1970.
        worker: Who works, or worked last, on it; empty: nobody yet.
        attempt: Number of the present or last attempt; 0: none yet.
        last: The last event; None before the first.
        outputs: Its files so far.
    """

    job: Job
    state: JobState
    queue_time: float
    worker: str
    attempt: int
    last: JobEvent | None
    outputs: tuple[Output, ...] = ()

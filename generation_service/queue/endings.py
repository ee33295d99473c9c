"""How a job may end, and which end a failure leads to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from generation_service.queue.jobs import JobState, RunFacts

if TYPE_CHECKING:
    from generation_service.backends.interface import AttemptFailedError
    from generation_service.media.interface import StoredMedia

OUT_OF_TIME = frozenset({"JOB_TIMEOUT", "RUN_TIMED_OUT", "LOAD_TIMED_OUT"})
"""Reasons that mean: a phase took too long."""
_FORGOTTEN = frozenset({"PROMPT_LOST", "WORKER_RESTARTED", "ATTEMPT_LOST"})


@dataclass(frozen=True)
class Ending:
    """How a job ends.

    Attributes:
        state: A final state.
        reason: Empty when it is DONE.
        message: One sentence; empty when it is DONE.
        detail: For the author of a workflow.
        files: What it brought.
        facts: How it was done.
    """

    state: JobState
    reason: str = ""
    message: str = ""
    detail: str = ""
    files: tuple[StoredMedia, ...] = ()
    facts: RunFacts = field(default_factory=RunFacts)


CANCELLED = Ending(JobState.CANCELLED, "JOB_CANCELLED", "The job was cancelled.")
LEFT = Ending(JobState.CANCELLED, "JOB_LEFT", "Whoever asked for it has gone.")
EXPIRED = Ending(JobState.EXPIRED, "JOB_EXPIRED", "It waited too long for its turn.")
NOT_TRIED = frozenset({LEFT.reason, EXPIRED.reason})
"""Ends that say nothing about what a job would have brought: who asks again may have a new one."""


def ending_of(failure: AttemptFailedError, attempt_id: str = "") -> Ending:
    """The end of a job whose last attempt failed; `attempt_id` is its name on the worker."""
    state = JobState.FAILED
    if failure.reason in OUT_OF_TIME:
        state = JobState.EXPIRED
    elif failure.reason in _FORGOTTEN:
        state = JobState.LOST
    facts = RunFacts(backend_job_id=attempt_id)
    return Ending(state, failure.reason, failure.message, failure.detail, facts=facts)

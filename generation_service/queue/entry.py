"""A job in the queue, with its history and its watchers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from generation_service.queue.jobs import (
    Finished,
    Happening,
    Job,
    JobEvent,
    JobState,
    JobView,
    Output,
    Progress,
    Queued,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from generation_service.backends.interface import AttemptFailedError


@dataclass(eq=False)
class Entry:
    """A job as the queue keeps it.

    Events that a newer one supersedes are replaced, so the history is short.

    Attributes:
        job: The job.
        queue_time: When it came, seconds since 1970.
        state: Where it stands.
        attempt: Number of the present or last attempt.
        attempt_id: Its name on the worker.
        worker: Name of its worker.
        avoid: Workers that have failed it.
        watchers: Who follows it now.
        caller_left: The caller whose job it is has gone.
        work: The attempt that runs now.
        abandoned: Why the attempt was given up from outside, such as a worker that died.
        wait_seconds: Time spent waiting so far.
        run_seconds: Time spent on workers so far.
        end_reason: Why it ended, or ends, without what was asked for; empty: it did not.
    """

    job: Job
    queue_time: float = field(default_factory=time.time)
    state: JobState = JobState.QUEUED
    attempt: int = 0
    attempt_id: str = ""
    worker: str = ""
    avoid: set[str] = field(default_factory=set)
    watchers: int = 0
    caller_left: bool = False
    work: asyncio.Task[object] | None = None
    abandoned: AttemptFailedError | None = None
    wait_seconds: float = 0.0
    run_seconds: float = 0.0
    events: list[JobEvent] = field(default_factory=list)
    count: int = 0
    end_reason: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    expiry: asyncio.TimerHandle | None = None
    since: float = field(default_factory=time.monotonic)

    def tell(self, happening: Happening) -> None:
        """Add an event and wake the watchers."""
        last = self.events[-1].happening if self.events else None
        if isinstance(happening, Queued | Progress) and type(last) is type(happening):
            self.events.pop()
        self.count += 1
        self.events.append(JobEvent(self.count, self.job, happening))
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def last(self) -> Happening | None:
        """What happened last."""
        return self.events[-1].happening if self.events else None

    @property
    def ends(self) -> bool:
        """Whether its end has been told."""
        return isinstance(self.last, Finished)

    def wait(self, limit_seconds: float, expire: Callable[[Entry], None]) -> None:
        """Begin to wait; `expire` is called when the limit is over."""
        self.since = time.monotonic()
        left = max(0.0, limit_seconds - self.wait_seconds)
        self.expiry = asyncio.get_running_loop().call_later(left, expire, self)

    def stop_waiting(self) -> None:
        """No longer wait: it begins, ends, or the queue is paused."""
        if self.expiry is not None:
            self.expiry.cancel()
            self.expiry = None
            self.wait_seconds += time.monotonic() - self.since

    def begin(self, worker: str, attempt_id: str) -> None:
        """Go to a worker for another attempt."""
        self.stop_waiting()
        self.state = JobState.RUNNING
        self.worker, self.attempt_id = worker, attempt_id
        self.attempt += 1
        self.since = time.monotonic()

    def stop_running(self) -> None:
        """Leave the worker."""
        self.run_seconds += time.monotonic() - self.since
        self.since = time.monotonic()

    @property
    def running_seconds(self) -> float:
        """Time since the present attempt began."""
        return time.monotonic() - self.since

    def drafts(self, happenings: Sequence[Happening]) -> list[JobEvent]:
        """What these would be as events, were they told now."""
        return [
            JobEvent(self.count + number, self.job, happening)
            for number, happening in enumerate(happenings, start=1)
        ]

    @property
    def job_without_prompt(self) -> Job:
        """The job as it is kept once it has ended: no text of a person longer than needed."""
        return replace(self.job, plan=replace(self.job.plan, prompt="", work={}))

    def forget_prompt(self) -> None:
        """Keep no longer what only doing the job needed."""
        self.job = self.job_without_prompt
        self.events = [replace(event, job=self.job) for event in self.events]

    def view(self) -> JobView:
        """How it stands now."""
        return JobView(
            job=self.job,
            state=self.state,
            queue_time=self.queue_time,
            worker=self.worker,
            attempt=self.attempt,
            last=self.events[-1] if self.events else None,
            outputs=tuple(e.happening for e in self.events if isinstance(e.happening, Output)),
        )

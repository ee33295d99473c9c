"""The queue within one process: fair turns, n worker slots, every event to every watcher.

Everything happens on the event loop, so no two changes interleave. What waits is lost when the
process ends; callers then see UNAVAILABLE and ask again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import structlog

from generation_service.backends.interface import AttemptFailedError
from generation_service.queue.interface import (
    Durations,
    Finished,
    Happening,
    Job,
    JobEvent,
    JobNotFoundError,
    JobState,
    Output,
    Progress,
    Queued,
    QueueFullError,
    QueueLimits,
    Started,
    Worker,
)
from generation_service.queue.turns import Turns
from servicekit.context import detached

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from types import TracebackType

    from generation_service.media.interface import StoredMedia
    from servicekit.principals import Principal

log = structlog.get_logger(__name__)

_DEFAULT_RETRY_SECONDS = 5.0


@dataclass(eq=False)
class _Entry:
    """A job with its history; events that a newer one supersedes are replaced, so it is short."""

    job: Job
    queue_time: float
    state: JobState = JobState.QUEUED
    start_time: float | None = None
    events: list[JobEvent] = field(default_factory=list)
    count: int = 0
    watchers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    work: asyncio.Task[tuple[StoredMedia, ...]] | None = None
    expiry: asyncio.TimerHandle | None = None

    def tell(self, happening: Happening) -> None:
        """Add an event and wake the watchers."""
        last = self.events[-1].happening if self.events else None
        if isinstance(happening, Queued | Progress) and type(last) is type(happening):
            self.events.pop()
        self.count += 1
        self.events.append(JobEvent(self.count, self.job, happening))
        self.changed.set()
        self.changed = asyncio.Event()


class LocalJobQueue:
    """A `JobQueue` in memory. Use it as a context manager: its workers live inside."""

    def __init__(self, worker: Worker, limits: QueueLimits) -> None:
        """Build an empty queue.

        Args:
            worker: Does the work of all slots.
            limits: What is bounded.
        """
        self._worker = worker
        self._limits = limits
        self._waiting: Turns[_Entry] = Turns()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._by_key: dict[tuple[str, str, str], str] = {}
        self._durations = Durations()
        self._running: set[_Entry] = set()
        self._arrived = asyncio.Semaphore(0)
        self._slots: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start the worker slots, outside of any call."""
        for number in range(1, self._limits.slots + 1):
            self._slots.append(asyncio.create_task(self._serve(f"embedded-{number}")))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel what waits and runs."""
        for entry in list(self._entries.values()):
            self._cancel(entry)
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)

    def submit(self, job: Job) -> str:
        """See `JobQueue.submit`."""
        key = (job.owner.id, job.owner.session, job.idempotency_key)
        if job.idempotency_key and key in self._by_key:
            return self._by_key[key]
        self._check_room(job)
        entry = _Entry(job, time.monotonic())
        self._entries[job.job_id] = entry
        if job.idempotency_key:
            self._by_key[key] = job.job_id
        self._waiting.put(job.turn_key, entry, priority=job.priority)
        limit = self._limits.wait_seconds
        wait = limit if job.wait_seconds is None else min(limit, job.wait_seconds)
        entry.expiry = asyncio.get_running_loop().call_later(wait, self._expire, entry)
        self._arrived.release()
        self._announce()
        return job.job_id

    async def watch(self, job_id: str) -> AsyncGenerator[JobEvent, None]:
        """See `JobQueue.watch`."""
        entry = self._find(job_id)
        entry.watchers += 1
        seen = 0
        try:
            while True:
                changed = entry.changed
                for event in [e for e in entry.events if e.sequence_number > seen]:
                    seen = event.sequence_number
                    yield event
                    if isinstance(event.happening, Finished):
                        return
                if seen == entry.count:
                    await changed.wait()
        finally:
            entry.watchers -= 1
            if entry.watchers == 0 and not entry.job.detach:
                self._cancel(entry)

    def cancel(self, job_id: str, caller: Principal) -> JobState:
        """See `JobQueue.cancel`."""
        entry = self._find(job_id)
        if not caller.may_see(entry.job.owner):
            raise JobNotFoundError(job_id)
        self._cancel(entry)
        return entry.state

    def _find(self, job_id: str) -> _Entry:
        entry = self._entries.get(job_id)
        if entry is None:
            raise JobNotFoundError(job_id)
        return entry

    def _check_room(self, job: Job) -> None:
        limits = self._limits
        full = len(self._waiting) >= limits.waiting
        if full or self._waiting.waiting_of(job.turn_key) >= limits.waiting_per_session:
            typical = self._durations.typical(job.output_config)
            raise QueueFullError(typical or _DEFAULT_RETRY_SECONDS)

    def _announce(self) -> None:
        """Tell every waiting job where it stands, if that changed."""
        ahead: float | None = 0.0
        for left in map(self._left, self._running):
            ahead = None if ahead is None or left is None else ahead + left
        for position, entry in enumerate(self._waiting.order()):
            estimate = None if ahead is None else round(ahead / self._limits.slots, 1)
            last = entry.events[-1].happening if entry.events else None
            if not isinstance(last, Queued) or last.position != position:
                entry.tell(Queued(position, estimate))
            own = self._durations.typical(entry.job.output_config)
            ahead = None if ahead is None or own is None else ahead + own

    def _left(self, entry: _Entry) -> float | None:
        """Seconds until a running job ends; None: nothing was measured yet."""
        typical = self._durations.typical(entry.job.output_config)
        if typical is None or entry.start_time is None:
            return None
        return max(0.0, typical - (time.monotonic() - entry.start_time))

    def _expire(self, entry: _Entry) -> None:
        if entry.state is JobState.QUEUED:
            self._waiting.remove(entry.job.turn_key, entry)
            self._finish(entry, JobState.EXPIRED, "JOB_EXPIRED", "It waited too long for its turn.")
            self._announce()

    def _cancel(self, entry: _Entry) -> None:
        if entry.state is JobState.QUEUED:
            self._waiting.remove(entry.job.turn_key, entry)
            self._finish(entry, JobState.CANCELLED, "JOB_CANCELLED", "The job was cancelled.")
            self._announce()
        elif entry.state is JobState.RUNNING:
            self._finish(entry, JobState.CANCELLED, "JOB_CANCELLED", "The job was cancelled.")
            if entry.work is not None:
                entry.work.cancel()

    async def _serve(self, worker_name: str) -> None:
        """One worker slot: pull the next job, do it, again."""
        while True:
            await self._arrived.acquire()
            entry = self._waiting.take()
            if entry is None:
                continue  # it was cancelled or expired while it waited
            self._start(entry)
            try:
                with detached(entry.job.execution_id):
                    await self._work(entry, worker_name)
            finally:
                self._running.discard(entry)
                if not entry.state.is_final:
                    self._finish(entry, JobState.CANCELLED, "JOB_CANCELLED", "We are closing.")
            self._announce()

    def _start(self, entry: _Entry) -> None:
        entry.state = JobState.RUNNING
        entry.start_time = time.monotonic()
        if entry.expiry is not None:
            entry.expiry.cancel()
        self._running.add(entry)
        self._announce()

    async def _work(self, entry: _Entry, worker_name: str) -> None:
        for attempt in range(1, self._limits.attempts + 1):
            entry.tell(Started(worker_name, attempt))
            failure = await self._attempt(entry)
            if failure is None or entry.state.is_final:
                return
            log.warning(
                "attempt_failed",
                job_id=entry.job.job_id,
                attempt=attempt,
                reason=failure.reason,
            )
            if not failure.worth_retrying or attempt == self._limits.attempts:
                self._finish(entry, JobState.FAILED, failure.reason, failure.message)
                return

    async def _attempt(self, entry: _Entry) -> AttemptFailedError | None:
        """Try once; None when nothing is left to do."""
        work = asyncio.create_task(self._worker.run(entry.job, self._reporter(entry)))
        entry.work = work
        try:
            await asyncio.wait({work}, timeout=self._limits.run_seconds)
            if not work.done():
                return AttemptFailedError(
                    "JOB_TIMEOUT", "The work took too long.", worth_retrying=False
                )
            if work.cancelled():
                return None
            files = work.result()
        except AttemptFailedError as failure:
            return failure
        except Exception:
            # The edge of a job: our bug must end this job as failed, not the slot.
            log.exception("job_crashed", job_id=entry.job.job_id)
            return AttemptFailedError("INTERNAL", "Internal error.", worth_retrying=False)
        finally:
            entry.work = None
            if not work.done():
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError, AttemptFailedError):
                    await work
        self._deliver(entry, files)
        return None

    def _reporter(self, entry: _Entry) -> Callable[[Progress], None]:
        def report(progress: Progress) -> None:
            if entry.state is JobState.RUNNING:
                entry.tell(progress)

        return report

    def _deliver(self, entry: _Entry, files: tuple[StoredMedia, ...]) -> None:
        if entry.state is not JobState.RUNNING:
            return  # cancelled at the last moment: results of an abandoned job are ignored
        for number, media in enumerate(files, start=1):
            entry.tell(Output(media, number, entry.job.photographic))
        if entry.start_time is not None:
            spent = time.monotonic() - entry.start_time
            self._durations.add(entry.job.output_config, spent)
        self._finish(entry, JobState.DONE)

    def _finish(self, entry: _Entry, state: JobState, reason: str = "", message: str = "") -> None:
        now = time.monotonic()
        started = entry.start_time if entry.start_time is not None else now
        entry.state = state
        if entry.expiry is not None:
            entry.expiry.cancel()
        entry.tell(Finished(state, started - entry.queue_time, now - started, reason, message))
        log.info(
            "job_finished",
            job_id=entry.job.job_id,
            execution_id=entry.job.execution_id,
            state=state.value,
            reason=reason or None,
            model=entry.job.plan.model,
            wait_ms=round((started - entry.queue_time) * 1000),
            run_ms=round((now - started) * 1000),
        )
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        ended = [e for e in self._entries.values() if e.state.is_final and not e.watchers]
        for entry in ended[: max(0, len(ended) - self._limits.remembered)]:
            job = entry.job
            del self._entries[job.job_id]
            self._by_key.pop((job.owner.id, job.owner.session, job.idempotency_key), None)

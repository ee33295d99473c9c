"""Brings jobs to workers, and decides what becomes of an attempt that failed.

Everything happens on the event loop, so no two decisions interleave; a decision is written into
the journal before anybody hears of it.
"""

from __future__ import annotations

import asyncio
import uuid
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import structlog

from generation_service.backends.interface import AttemptFailedError
from generation_service.queue.attempts import Attempt, WorkerHungError
from generation_service.queue.endings import EXPIRED, OUT_OF_TIME, Ending, ending_of
from generation_service.queue.jobs import Finished, JobState, Output, Queued, Started
from generation_service.queue.keeping import AttemptName
from generation_service.queue.notes import JournalError
from generation_service.queue.observer import on_behalf_of
from generation_service.queue.pool import WORKER_REMOVED
from generation_service.queue.tasks import finish, let_go
from generation_service.queue.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from generation_service.queue.drivers import Made
    from generation_service.queue.durations import Durations
    from generation_service.queue.entry import Entry
    from generation_service.queue.interface import QueueLimits
    from generation_service.queue.jobs import Happening
    from generation_service.queue.keeping import Keeper
    from generation_service.queue.notes import Journal
    from generation_service.queue.observer import JobObserver
    from generation_service.queue.pool import WorkerPool
    from generation_service.queue.seats import Seat
    from generation_service.queue.turns import Past, Turn

log = structlog.get_logger(__name__)

_Work: TypeAlias = "Coroutine[object, object, None]"
_NEXT = Queued(0, 0.0)


class Dispatcher:
    """Turns in front of workers."""

    def __init__(
        self,
        pool: WorkerPool,
        keeper: Keeper,
        journal: Journal,
        limits: QueueLimits,
        durations: Durations,
        observer: JobObserver,
    ) -> None:
        """Build the dispatcher; `changed` is to be set by its owner before use."""
        self.waiting: Turns[Entry] = Turns()
        self.running: set[Entry] = set()
        self.paused = False
        self.changed: Callable[[], None] = lambda: None
        self.ended: Callable[[Entry], None] = lambda _: None
        self._pool = pool
        self._keeper = keeper
        self._journal = journal
        self._limits = limits
        self._durations = durations
        self._observer = observer
        self._tasks: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._deliveries: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Let go of what runs, without ending it, and write down what has ended."""
        for seat in self._pool.seats:
            if seat.running is not None:
                seat.driver.release(seat.running.attempt_id)
        for task in list(self._tasks):
            task.cancel()
        await finish(self._deliveries)  # what is being stored is as good as done
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await finish(self._endings)  # a journal that does not answer: the next start knows less

    def enqueue(self, entry: Entry) -> None:
        """Let a job wait for its turn."""
        self.waiting.put(entry.job.turn_key, entry, priority=entry.job.priority)
        self._let_wait(entry)

    def recall(self, past: Iterable[Past[Entry]]) -> None:
        """Let those wait who waited before a restart; whoever had fewer turns is still next."""
        self.waiting.replay(past)
        for entry in self.waiting.order():
            self._let_wait(entry)

    def assign(self) -> None:
        """Give jobs to free workers, until there are none of either."""
        # What is made but not yet stored is held in memory: no more than two for each worker.
        most = 2 * len(self._pool.seats)
        while not self.paused and len(self.waiting) and len(self._deliveries) < most:
            found = self._next()
            if found is None:
                return
            seat, turn = found
            self.waiting.grant(turn)
            self._start(turn.entry, seat)

    def abandon(self, entry: Entry, why: AttemptFailedError) -> None:
        """Take a job away from a worker that has died or goes."""
        if entry.work is None or entry.state is not JobState.RUNNING:
            return
        for seat in self._pool.seats:
            if seat.running is entry and seat.dead:  # there is nobody who could end it
                seat.driver.release(entry.attempt_id)
        entry.abandoned = why
        entry.work.cancel()

    def conclude(self, entry: Entry, ending: Ending) -> None:
        """End a job, wherever it is. One that has ended already stays as it is."""
        if entry.state.is_final:
            return
        if entry.state is JobState.QUEUED:
            self.waiting.remove(entry.job.turn_key, entry)
            entry.stop_waiting()
        else:
            entry.stop_running()
        entry.state, entry.end_reason = ending.state, ending.reason
        if entry.work is not None and ending.state is not JobState.DONE:
            entry.work.cancel()
        self._spawn(entry, self._tell_end(entry, ending), self._endings)
        self.changed()

    def take_up(self, entry: Entry, seat: Seat | None) -> None:
        """Go on with a job that ran before a restart; None: its worker is no longer there."""
        entry.state = JobState.RUNNING
        self.running.add(entry)
        if seat is not None:
            seat.take(entry)
        self._spawn(entry, self._go_on(entry, seat), self._tasks)

    def pause(self) -> None:
        """Give out no job; those who wait do not grow older."""
        self.paused = True
        for entry in self.waiting.order():
            entry.stop_waiting()

    def go_on(self) -> None:
        """Give out jobs again."""
        self.paused = False
        for entry in self.waiting.order():
            self._let_wait(entry)

    def _let_wait(self, entry: Entry) -> None:
        if self.paused:
            return
        limit = self._limits.wait_seconds
        own = entry.job.wait_seconds
        entry.wait(limit if own is None else min(limit, own), self._expire)

    def _expire(self, entry: Entry) -> None:
        if entry.state is JobState.QUEUED:
            self.conclude(entry, EXPIRED)

    def _next(self) -> tuple[Seat, Turn[Entry]] | None:
        """The next job and a worker for it; a warm one if there is one."""
        best: tuple[Seat, Turn[Entry]] | None = None
        busy = self._busy_sessions()
        for seat in self._pool.free():
            turn = self.waiting.find(partial(self._fits, seat, busy), seat.is_warm_for)
            if turn is not None and turn.preferred:
                return seat, turn
            if turn is not None and best is None:
                best = seat, turn
        return best

    def _busy_sessions(self) -> set[str]:
        counts: dict[str, int] = {}
        for entry in self.running:
            counts[entry.job.turn_key] = counts.get(entry.job.turn_key, 0) + 1
        most = self._limits.running_per_session
        return {key for key, count in counts.items() if count >= most}

    def _fits(self, seat: Seat, busy: set[str], entry: Entry) -> bool:
        if entry.job.turn_key in busy or not seat.can(entry):
            return False
        if seat.name not in entry.avoid:
            return True
        return not any(
            other.is_usable and other.name not in entry.avoid and other.can(entry)
            for other in self._pool.seats
        )

    def _start(self, entry: Entry, seat: Seat) -> None:
        warm = seat.is_warm_for(entry) or not entry.job.plan.models_key
        if entry.last != _NEXT:  # even who goes to a worker at once was queued before
            entry.tell(_NEXT)
        entry.begin(seat.name, str(uuid.uuid4()))
        self.running.add(entry)
        seat.take(entry)
        self._spawn(entry, self._serve(entry, seat, warm=warm), self._tasks)
        self.changed()

    async def _serve(self, entry: Entry, seat: Seat, *, warm: bool, resume: bool = False) -> None:
        """One attempt from its beginning to the release of the worker."""
        try:
            with self._observer.attempting(entry):
                if not resume:
                    await self._journal.note_started(entry)
                if entry.state is JobState.RUNNING:
                    entry.tell(Started(seat.name, entry.attempt))
                    await self._attempt(entry, seat, warm=warm, resume=resume)
        except JournalError:
            # Nobody would find it after a restart; a disk that is full is an operator's matter.
            log.exception("journal_failed", job_id=entry.job.job_id)
            self.conclude(entry, Ending(JobState.FAILED, "INTERNAL", "Internal error."))
        finally:
            self.running.discard(entry)
            if seat.running is entry:
                seat.free()
        await self._pool.released(seat)
        self.changed()

    async def _attempt(self, entry: Entry, seat: Seat, *, warm: bool, resume: bool) -> None:
        attempt = Attempt(entry, seat, self._limits)
        work = asyncio.create_task(attempt.carry_out(resume=resume))
        entry.work = work
        try:
            await asyncio.wait({work})
        finally:
            entry.work = None
            if not work.done():  # we are closing
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
        failure = await self._failure(entry, work)
        if failure is None and entry.state is JobState.RUNNING:
            seat.succeeded()
            self._durations.add(entry.job.output_config, entry.running_seconds, warm=warm)
            seat.free()  # the worker is done; storing is our own business
            self.changed()
            delivery = asyncio.create_task(self._deliver(entry, seat, work.result()))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)
            entry.work = delivery
            await asyncio.wait({delivery})
            if not delivery.cancelled():
                delivery.result()
            return
        await self._end(attempt, entry, seat, failure)

    async def _failure(self, entry: Entry, work: asyncio.Task[Made]) -> AttemptFailedError | None:
        """Why the work brought nothing; None: it did, or nobody wants it any more."""
        if work.cancelled():
            why, entry.abandoned = entry.abandoned, None
            return why
        error = work.exception()
        if error is None or isinstance(error, AttemptFailedError):
            return error
        # The edge of a job: our bug must end this job as failed, not the queue.
        log.error("job_crashed", job_id=entry.job.job_id, exc_info=error)
        return AttemptFailedError("INTERNAL", "Internal error.", worth_retrying=False)

    async def _end(
        self, attempt: Attempt, entry: Entry, seat: Seat, failure: AttemptFailedError | None
    ) -> None:
        """Clear the worker of a given-up attempt, then see what becomes of the job."""
        over = failure is not None and not failure.worth_retrying
        if not over or (failure is not None and failure.reason in OUT_OF_TIME):
            try:
                await attempt.end()
            except WorkerHungError as hung:
                if entry.state is not JobState.RUNNING:
                    self._blame(seat, hung)
                elif failure is None or not failure.worth_retrying:
                    failure = hung
        if failure is not None and entry.state is JobState.RUNNING:
            await self._failed(entry, seat, failure)

    async def _failed(self, entry: Entry, seat: Seat | None, failure: AttemptFailedError) -> None:
        log.warning(
            "attempt_failed",
            job_id=entry.job.job_id,
            attempt=entry.attempt,
            worker=entry.worker,
            reason=failure.reason,
            detail=str(failure),
        )
        if seat is not None and failure.worth_retrying:
            self._blame(seat, failure)
        elif seat is not None:
            seat.succeeded()
        if failure.reason == WORKER_REMOVED:
            entry.attempt -= 1  # nobody's fault: it does not count
        if failure.worth_retrying and entry.attempt < self._limits.attempts:
            await self._try_again(entry)
            return
        elsewhere = seat is not None and not seat.fixed
        self.conclude(entry, ending_of(failure, entry.attempt_id if elsewhere else ""))

    def _blame(self, seat: Seat, failure: AttemptFailedError) -> None:
        if failure.reason != WORKER_REMOVED and seat.failed(failure):
            log.warning("worker_quarantined", worker=seat.name, reason=failure.reason)

    async def _try_again(self, entry: Entry) -> None:
        entry.stop_running()
        entry.avoid.add(entry.worker)
        await self._journal.note_queued(entry)
        if entry.state is not JobState.RUNNING:
            return  # cancelled meanwhile
        entry.state = JobState.QUEUED
        self.waiting.put_back(entry.job.turn_key, entry, priority=entry.job.priority)
        self._let_wait(entry)

    async def _deliver(self, entry: Entry, seat: Seat, made: Made) -> None:
        attempt = AttemptName(seat.name, entry.attempt_id)
        try:
            files = await self._keeper.keep(entry.job, attempt, made.files)
        except AttemptFailedError as failure:
            entry.work = None
            await self._failed(entry, None, failure)
            return
        except asyncio.CancelledError:
            if entry.state.is_final:  # it was ended meanwhile, perhaps to be erased
                await seat.driver.forget(attempt.attempt_id)
            raise
        # One cancelled at the last moment stays so: results of an abandoned job are ignored.
        self.conclude(entry, Ending(JobState.DONE, files=files, facts=made.facts))
        await seat.driver.forget(attempt.attempt_id)

    async def _tell_end(self, entry: Entry, ending: Ending) -> None:
        """Write down how a job ended, then tell."""
        end = Finished(
            ending.state,
            entry.wait_seconds,
            entry.run_seconds,
            ending.reason,
            ending.message,
            ending.detail,
            ending.facts,
        )
        photographic = entry.job.photographic
        story: list[Happening] = [
            Output(media, number, photographic)
            for number, media in enumerate(ending.files, start=1)
        ]
        story.append(end)
        try:
            await self._journal.note_ended(entry, entry.drafts(story))
        except JournalError:
            log.exception("journal_failed", job_id=entry.job.job_id)
        for happening in story:
            entry.tell(happening)
        log.info(
            "job_finished",
            job_id=entry.job.job_id,
            state=ending.state.value,
            reason=ending.reason or None,
            model=entry.job.plan.model,
            worker=entry.worker or None,
            attempt=entry.attempt,
            wait_ms=round(entry.wait_seconds * 1000),
            run_ms=round(entry.run_seconds * 1000),
        )
        self._observer.ended(entry, ending)
        self.ended(entry)

    async def _go_on(self, entry: Entry, seat: Seat | None) -> None:
        """Find a job of before the restart on its worker, or try it again."""
        try:
            if seat is None:
                raise TimeoutError
            async with asyncio.timeout(self._limits.resume_seconds):
                await seat.well.wait()
        except TimeoutError:
            gone = AttemptFailedError(
                "WORKER_UNREACHABLE", "The worker has gone away.", worth_retrying=True
            )
            self.running.discard(entry)
            if seat is not None:
                seat.leftovers.add(entry.attempt_id)
                seat.free()
            await self._failed(entry, seat, gone)
            self.changed()
            return
        await self._serve(entry, seat, warm=False, resume=True)

    def _spawn(self, entry: Entry, work: _Work, tasks: set[asyncio.Task[None]]) -> None:
        with on_behalf_of(entry.job):
            task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(partial(let_go, tasks))

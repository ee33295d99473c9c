"""The queue within one process: fair turns before n workers, every event to every watcher.

Everything happens on the event loop, so no two changes interleave. The journal makes it outlive
the process: what waited waits again, what ran is found again on its worker or tried again.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

import structlog

from generation_service.queue.book import Book
from generation_service.queue.dispatch import Dispatcher
from generation_service.queue.durations import Durations
from generation_service.queue.endings import CANCELLED, LEFT
from generation_service.queue.entry import Entry
from generation_service.queue.interface import (
    NotSupportedError,
    NoWorkerError,
    QueueClosedError,
    QueueFullError,
    QueueLimits,
    QueueStatus,
    WorkerNotFoundError,
)
from generation_service.queue.jobs import Finished, Job, JobState
from generation_service.queue.observer import Unobserved
from generation_service.queue.outlook import announce, forecast
from generation_service.queue.records import job_from_text, story_from_text
from generation_service.queue.turns import Past

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from types import TracebackType

    from generation_service.queue.interface import JobFilter
    from generation_service.queue.jobs import JobEvent, JobView
    from generation_service.queue.keeping import Keeper
    from generation_service.queue.notes import JobRow, Journal
    from generation_service.queue.observer import JobObserver
    from generation_service.queue.pool import WorkerPool
    from generation_service.queue.seats import Seat
    from servicekit.principals import Principal

log = structlog.get_logger(__name__)

_DEFAULT_RETRY_SECONDS = 5.0
_ANNOUNCEMENT_SECONDS = 0.1
_MANY = 50
"""So many who wait double the time between two announcements."""
_NUMBERS_PER_LIFE = 1_000_000
"""Events are numbered on from here after a restart, so that no number comes twice."""


class LocalJobQueue:
    """A `JobQueue` in this process. Use it as a context manager: its work lives inside."""

    def __init__(
        self,
        pool: WorkerPool,
        keeper: Keeper,
        journal: Journal,
        limits: QueueLimits,
        observer: JobObserver | None = None,
    ) -> None:
        """Build a queue.

        Args:
            pool: The workers; the queue starts and closes it.
            keeper: Keeps what they make.
            journal: Outlives the process; closed by its owner, after the queue.
            limits: What is bounded.
            observer: Counts and traces jobs; None: nobody does.
        """
        self._pool = pool
        self._journal = journal
        self._limits = limits
        self._durations = Durations()
        self._book = Book(limits.remembered)
        self._dispatcher = Dispatcher(
            pool, keeper, journal, limits, self._durations, observer or Unobserved()
        )
        self._dispatcher.changed = self._changed
        self._dispatcher.ended = self._book.ended
        self._entering: dict[tuple[str, str, str], asyncio.Future[str]] = {}
        self._turn: asyncio.Handle | None = None
        self._announcement: asyncio.TimerHandle | None = None
        self._next_announcement = 0.0
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Take up what the journal holds, and start, outside of any call."""
        await self._pool.start(self._changed, self._dispatcher.abandon)
        if await self._journal.fact("paused"):
            self._dispatcher.pause()
        life = int(await self._journal.fact("life") or 0) + 1
        await self._journal.note_fact("life", str(life))
        rows = await self._journal.rows()
        taken = [await self._take_up(row, life * _NUMBERS_PER_LIFE) for row in rows]
        self._dispatcher.recall([past for past in taken if past is not None])
        self._changed()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of everything; jobs go on after the next start."""
        await self.stop_watching()
        for handle in (self._turn, self._announcement):
            if handle is not None:
                handle.cancel()
        await self._dispatcher.close()
        await self._pool.close()

    async def stop_watching(self) -> None:
        """End all watching: the service stops, its jobs are kept."""
        self._closing.set()
        for entry in self._book:
            entry.stop_waiting()
            entry.changed.set()

    async def submit(self, job: Job) -> str:
        """See `JobQueue.submit`."""
        if self._closing.is_set():
            raise QueueClosedError
        if (first := self._book.repeated(job)) is not None:
            first.caller_left = False  # whoever has left it: its caller is here again
            return first.job.job_id
        key = job.own_key
        if key is None:
            return await self._enter(job)
        if key in self._entering:  # the same request comes twice at once
            return await asyncio.shield(self._entering[key])
        entering = self._entering[key] = asyncio.ensure_future(self._enter(job))
        try:
            return await asyncio.shield(entering)
        finally:
            entering.add_done_callback(lambda _: self._entering.pop(key, None))

    async def watch(
        self, job_id: str, *, after: int = 0, observer: Principal | None = None
    ) -> AsyncGenerator[JobEvent, None]:
        """See `JobQueue.watch`."""
        book = self._book
        entry = book.find(job_id) if observer is None else book.find_for(job_id, observer)
        entry.watchers += 1
        seen = after
        try:
            while True:
                changed = entry.changed
                news = [event for event in entry.events if event.sequence_number > seen]
                for event in news:
                    seen = event.sequence_number
                    yield event
                if news:
                    continue  # more may have happened while the watcher was busy with these
                if entry.ends:
                    return
                if self._closing.is_set():
                    raise QueueClosedError
                await changed.wait()
        finally:
            entry.watchers -= 1
            entry.caller_left |= observer is None
            self._look_whether_left(entry)

    def leave(self, job_id: str) -> None:
        """Its caller has gone, without having watched it here."""
        entry = self._book.find(job_id)
        entry.caller_left = True
        self._look_whether_left(entry)

    async def cancel(self, job_id: str, caller: Principal) -> JobState:
        """See `JobQueue.cancel`."""
        entry = self._book.find_for(job_id, caller)
        self._dispatcher.conclude(entry, CANCELLED)
        await self._ended(entry)
        return entry.state

    async def erase(self, execution_id: str) -> None:
        """See `JobQueue.erase`."""
        entries = [entry for entry in self._book if entry.job.execution_id == execution_id]
        for entry in entries:
            self._dispatcher.conclude(entry, CANCELLED)
        for entry in entries:
            await self._ended(entry)
            if entry.work is not None:  # nothing is stored any more when this returns
                await asyncio.wait({entry.work})
            self._book.strike(entry)
        await self._journal.erase(execution_id)

    async def get(self, job_id: str, caller: Principal) -> JobView:
        """See `JobQueue.get`."""
        return self._book.find_for(job_id, caller).view()

    async def list_jobs(
        self, caller: Principal, wanted: JobFilter, *, before: str, limit: int
    ) -> Sequence[JobView]:
        """See `JobQueue.list_jobs`."""
        return self._book.page(caller, wanted, before=before, limit=limit)

    async def status(self, caller: Principal) -> QueueStatus:
        """See `JobQueue.status`."""
        key = f"s:{caller.session}" if caller.session else f"u:{caller.id}"
        waiting = self._dispatcher.waiting
        own_running = sum(e.job.turn_key == key for e in self._dispatcher.running)
        estimates = forecast(waiting.order(), self._pool.seats, self._durations)
        return QueueStatus(
            waiting=len(waiting),
            running=len(self._dispatcher.running),
            own_waiting=waiting.waiting_of(key),
            own_running=own_running,
            sessions=waiting.session_count,
            paused=self._dispatcher.paused,
            estimate_seconds=estimates[-1] if estimates else 0.0,
        )

    async def pause(self) -> None:
        """See `JobQueue.pause`."""
        self._dispatcher.pause()
        await self._journal.note_fact("paused", "yes")

    async def resume(self) -> None:
        """See `JobQueue.resume`."""
        self._dispatcher.go_on()
        await self._journal.note_fact("paused", "")
        self._changed()

    async def _ended(self, entry: Entry) -> None:
        """Wait until the end of a job has been written down."""
        while not entry.ends:
            if self._closing.is_set():
                raise QueueClosedError
            await entry.changed.wait()

    async def _enter(self, job: Job) -> str:
        """Take a new job: check, write down, let it wait."""
        await self._pool.learn(job.plan)
        lacks = self._pool.lacks(job.plan)
        if lacks is None:
            raise NoWorkerError(job.plan.backend)
        if lacks:
            raise NotSupportedError(lacks)
        self._check_room(job)
        entry = Entry(job)
        self._book.add(entry)
        # Before the wait for the disk, so that the next one is told rightly whether there is room.
        self._dispatcher.enqueue(entry)
        self._dispatcher.assign()
        try:
            await self._journal.note_queued(entry)
        except BaseException:
            self._dispatcher.conclude(entry, CANCELLED)
            raise
        self._changed()
        return job.job_id

    def _check_room(self, job: Job) -> None:
        waiting = self._dispatcher.waiting
        full = len(waiting) >= self._limits.waiting
        if full or waiting.waiting_of(job.turn_key) >= self._limits.waiting_per_session:
            typical = self._durations.typical(job.output_config, warm=True)
            raise QueueFullError(typical or _DEFAULT_RETRY_SECONDS)

    def _look_whether_left(self, entry: Entry) -> None:
        """Nobody makes something for nobody, unless they asked for it."""
        nobody = entry.watchers == 0 and entry.caller_left and not entry.job.detach
        if nobody and not self._closing.is_set():
            self._dispatcher.conclude(entry, LEFT)

    def _changed(self) -> None:
        """Have jobs given out and everybody told, once for all that happens now."""
        if self._turn is None and not self._closing.is_set():
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        self._dispatcher.assign()
        now = asyncio.get_running_loop().time()
        self._announce(new_only=now < self._next_announcement)

    def _announce(self, *, new_only: bool = False) -> None:
        """Tell who waits where they stand; the others than the new ones now and then only.

        Everybody moves up with every job that begins: told each time, a long queue would be busy
        with nothing else.
        """
        waiting = self._dispatcher.waiting
        announce(waiting.order(), self._pool.seats, self._durations, new_only=new_only)
        loop = asyncio.get_running_loop()
        if not new_only:
            pause = _ANNOUNCEMENT_SECONDS * (1 + len(waiting) / _MANY)
            self._next_announcement = loop.time() + pause
            self._announcement = None
        elif self._announcement is None:
            self._announcement = loop.call_at(self._next_announcement, self._announce)

    async def _take_up(self, row: JobRow, number: int) -> Past[Entry] | None:
        """Take up a job that the journal holds from before; returns what it means for turns."""
        try:
            job = job_from_text(row.job)
            events = story_from_text(row.story, job) if row.state.is_final else []
        except ValueError:
            log.exception("journal_row_unreadable", job_id=row.job_id)
            await self._journal.drop(row.job_id)
            return None
        entry = Entry(
            job,
            queue_time=row.queue_time,
            state=row.state,
            attempt=row.attempt,
            attempt_id=row.attempt_id,
            worker=row.worker,
            events=events,
            count=events[-1].sequence_number if events else number,
            end_reason=_end_reason(events),
        )
        self._book.add(entry)
        if row.state.is_final:
            self._book.ended(entry)
        elif row.state is JobState.QUEUED:
            age = time.time() - row.queue_time
            # The time without a service does not count, unless nobody can be waiting any more.
            entry.wait_seconds = age if age > self._limits.wait_seconds else row.wait_seconds
        else:
            entry.wait_seconds = row.wait_seconds
            self._dispatcher.take_up(entry, self._seat_of(row.worker))
        if row.state is not JobState.QUEUED and not row.start_time:
            return None
        return Past(job.turn_key, entry, job.priority, row.queue_time, row.start_time)

    def _seat_of(self, worker: str) -> Seat | None:
        try:
            seat = self._pool.find(worker)
        except WorkerNotFoundError:
            return None
        return None if seat.running is not None else seat


def _end_reason(events: Sequence[JobEvent]) -> str:
    end = events[-1].happening if events else None
    return end.error_reason if isinstance(end, Finished) else ""

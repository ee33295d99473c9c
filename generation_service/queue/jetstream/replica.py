"""A replica's view of the queue: it asks whoever leads, and asks again until there is an answer."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from generation_service.queue.interface import QueueClosedError
from generation_service.queue.jetstream.host import LEADER_NEWS
from generation_service.queue.jetstream.leader import LEADER, desk_subject
from generation_service.queue.jetstream.lease import present_term
from generation_service.queue.jetstream.link import (
    NobodyAnswersError,
    QueueUnavailableError,
    end,
)
from generation_service.queue.jetstream.mailbox import Mailbox
from generation_service.queue.jetstream.wire import (
    Fields,
    event_from_fields,
    job_fields,
    job_from_fields,
    status_from_fields,
    view_from_fields,
    worker_from_fields,
)
from generation_service.queue.jobs import Finished, JobState
from servicekit.context import new_id
from servicekit.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Sequence
    from types import TracebackType

    from generation_service.queue.interface import JobFilter, QueueStatus
    from generation_service.queue.jetstream.documents import Documents
    from generation_service.queue.jetstream.leader import Leadership
    from generation_service.queue.jetstream.link import Link
    from generation_service.queue.jetstream.pace import Pace
    from generation_service.queue.jobs import Job, JobEvent, JobView
    from generation_service.queue.workforce import WorkerView
    from servicekit.principals import Principal

_RETRY_SECONDS = 0.05


class JetStreamJobQueue:
    """A `JobQueue` and `Workforce` of several processes. Use it as a context manager."""

    def __init__(self, link: Link, leases: Documents, leadership: Leadership, pace: Pace) -> None:
        """Build a replica.

        Args:
            link: To the others.
            leases: Where the leader is looked up.
            leadership: Leads when it is this process's turn.
            pace: How long it may wait for whom.
        """
        self._link = link
        self._leases = leases
        self._leadership = leadership
        self._pace = pace
        self._replica = new_id()
        self._term = 0
        self._closing = asyncio.Event()
        self._mailboxes: set[Mailbox] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Listen to the leader, and lead if there is none."""
        self._hearing = await self._link.listen(self._link.subject(LEADER_NEWS), self._hear)
        self._tasks = [
            asyncio.create_task(self._leadership.serve()),
            asyncio.create_task(self._give_signs()),
        ]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Lead no longer; jobs go on."""
        await self.stop_watching()
        await end(self._hearing)
        for task in (*self._tasks, *self._leaving):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._leaving, return_exceptions=True)

    async def stop_watching(self) -> None:
        """End all watching: this process stops, its jobs are kept."""
        self._closing.set()
        for mailbox in self._mailboxes:
            mailbox.close()

    async def submit(self, job: Job) -> str:
        """See `JobQueue.submit`."""
        answer = await self._ask("submit", job=job_fields(job))
        return str(answer["job_id"])

    async def watch(
        self, job_id: str, *, after: int = 0, observer: Principal | None = None
    ) -> AsyncGenerator[JobEvent, None]:
        """See `JobQueue.watch`."""
        watch, inbox = new_id(), self._link.inbox()
        question = {
            "watch": watch,
            "job_id": job_id,
            "observer": asdict(observer) if observer is not None else None,
            "inbox": inbox,
        }
        mailbox, left = Mailbox(after), observer is None
        hearing = await self._link.listen(inbox, mailbox.put)
        self._mailboxes.add(mailbox)
        try:
            while not mailbox.ended:
                mailbox.behind = False
                answer = await self._ask("watch", **question, after=mailbox.number)
                async for event in self._read(mailbox, job_from_fields(answer["job"])):
                    yield event
        except ServiceError:
            left = False  # it is we who fail: the caller will come back for its job
            raise
        finally:
            self._mailboxes.discard(mailbox)
            await end(hearing)
            if not self._closing.is_set():
                await self._leave(watch, job_id, caller_left=left)

    async def cancel(self, job_id: str, caller: Principal) -> JobState:
        """See `JobQueue.cancel`."""
        answer = await self._ask("cancel", job_id=job_id, caller=asdict(caller))
        return JobState(answer["state"])

    async def erase(self, execution_id: str) -> None:
        """See `JobQueue.erase`."""
        await self._ask("erase", execution_id=execution_id)

    async def get(self, job_id: str, caller: Principal) -> JobView:
        """See `JobQueue.get`."""
        answer = await self._ask("get", job_id=job_id, caller=asdict(caller))
        return view_from_fields(answer["view"])

    async def list_jobs(
        self, caller: Principal, wanted: JobFilter, *, before: str, limit: int
    ) -> Sequence[JobView]:
        """See `JobQueue.list_jobs`."""
        answer = await self._ask(
            "list",
            caller=asdict(caller),
            states=sorted(wanted.states),
            execution_id=wanted.execution_id,
            before=before,
            limit=limit,
        )
        return [view_from_fields(view) for view in answer["views"]]

    async def status(self, caller: Principal) -> QueueStatus:
        """See `JobQueue.status`."""
        answer = await self._ask("status", caller=asdict(caller))
        return status_from_fields(answer["status"])

    async def pause(self) -> None:
        """See `JobQueue.pause`."""
        await self._ask("pause")

    async def resume(self) -> None:
        """See `JobQueue.resume`."""
        await self._ask("resume")

    async def workers(self) -> Sequence[WorkerView]:
        """See `Workforce.workers`."""
        answer = await self._ask("workers")
        return [worker_from_fields(worker) for worker in answer["workers"]]

    async def add(self, address: str) -> WorkerView:
        """See `Workforce.add`."""
        return worker_from_fields((await self._ask("add", address=address))["worker"])

    async def remove(self, name: str, *, at_once: bool) -> WorkerView:
        """See `Workforce.remove`."""
        answer = await self._ask("remove", name=name, at_once=at_once)
        return worker_from_fields(answer["worker"])

    async def drain(self, name: str, *, draining: bool) -> WorkerView:
        """See `Workforce.drain`."""
        answer = await self._ask("drain", name=name, draining=draining)
        return worker_from_fields(answer["worker"])

    async def _read(self, mailbox: Mailbox, job: Job) -> AsyncGenerator[JobEvent, None]:
        """Events as they arrive, until there are no more or some may be missing."""
        while True:
            fields = mailbox.take()
            if fields is not None:
                event = event_from_fields(fields, job)
                mailbox.ended |= isinstance(event.happening, Finished)
                yield event
            elif mailbox.ended or mailbox.behind:
                return
            elif mailbox.closed:
                raise QueueClosedError
            else:
                await mailbox.wait(self._pace.silence)

    async def _leave(self, watch: str, job_id: str, *, caller_left: bool) -> None:
        """Say that somebody follows a job no longer, even while we are being cancelled."""
        asking = self._ask("leave", watch=watch, job_id=job_id, caller_left=caller_left)
        task = asyncio.create_task(_quietly(asking))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        await asyncio.shield(task)

    async def _ask(self, what: str, **question: Any) -> Fields:
        """Ask the leader, whoever that is by then.

        Raises:
            QueueUnavailableError: There was none for too long.
            QueueClosedError: This process stops.
            ServiceError: That is the answer.
        """
        try:
            async with asyncio.timeout(self._pace.patience):
                while not self._closing.is_set():
                    with contextlib.suppress(NobodyAnswersError, QueueClosedError):
                        return await self._ask_once(what, question)
                    self._term = 0
                    await asyncio.sleep(_RETRY_SECONDS)
        except TimeoutError as exc:
            raise QueueUnavailableError from exc
        raise QueueClosedError

    async def _ask_once(self, what: str, question: Fields) -> Fields:
        term = self._term or await present_term(self._leases, LEADER)
        if not term:
            raise NobodyAnswersError("There is no leader.")
        self._term = term
        subject = desk_subject(self._link, term)
        return await self._link.ask(subject, {"what": what, "replica": self._replica, **question})

    async def _give_signs(self) -> None:
        """Let the leader know that those who follow jobs here are still there."""
        while True:
            await asyncio.sleep(self._pace.beat)
            if self._mailboxes:
                with contextlib.suppress(NobodyAnswersError, QueueClosedError):
                    await self._ask_once("hello", {})

    def _hear(self, news: Fields) -> None:
        """Heed the leader."""
        if news["term"] < self._term:
            return
        if news["term"] > self._term:
            self._term = news["term"]
            for mailbox in self._mailboxes:
                mailbox.distrust()


async def _quietly(asking: Coroutine[object, object, object]) -> None:
    """Ask for what does not matter if nobody answers."""
    with contextlib.suppress(ServiceError):
        await asking

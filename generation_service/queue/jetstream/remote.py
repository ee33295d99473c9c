"""A worker in another process, as the leader of the queue sees it.

All questions may be asked again: the worker's process knows an attempt by its id and answers how it
stands. So it does not matter whether a message, the leader or the connection was lost on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generation_service.backends.interface import AttemptFailedError
from generation_service.queue.drivers import Made, WorkBegun, WorkerDownError, WorkerFacts
from generation_service.queue.jetstream.link import NobodyAnswersError, end
from generation_service.queue.jetstream.notebook import token
from generation_service.queue.jetstream.wire import (
    Fields,
    failure_from_fields,
    job_fields,
    media_from_fields,
    progress_from_fields,
)
from generation_service.queue.records import facts_from_fields
from servicekit.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.backends.interface import MediaPlan
    from generation_service.media.interface import StoredMedia
    from generation_service.queue.drivers import Report
    from generation_service.queue.jetstream.link import Link
    from generation_service.queue.jetstream.pace import Pace
    from generation_service.queue.jobs import Job

_ANSWERS_KEPT = 5000
_ANSWER_SECONDS = 60.0
_RETRY_SECONDS = 0.05


@dataclass(frozen=True)
class Announcement:
    """What a worker's process says about it with every sign of life.

    Attributes:
        name: Of the worker.
        backend: Whose plans it carries out.
        address: Where it is reached; empty: in that process.
        fixed: It is part of that process and cannot be removed.
        leaving: Its process stops when its job is done.
        choosy: It may lack something for a plan of its backend.
        grace_seconds: See `WorkerDriver.grace_seconds`.
        process: Changes when its process was started anew.
        facts: What it told about itself; None: it did not answer its process.
        fault: Why it cannot take jobs now; empty: it can.
    """

    name: str
    backend: str
    address: str
    fixed: bool = False
    leaving: bool = False
    choosy: bool = True
    grace_seconds: float = 0.0
    process: str = ""
    facts: WorkerFacts | None = None
    fault: str = ""


def announcement_from_fields(fields: Fields) -> Announcement:
    """The announcement of `asdict`."""
    facts = fields["facts"]
    return Announcement(**{**fields, "facts": WorkerFacts(**facts) if facts else None})


class RemoteDriver:
    """A worker in another process; see `WorkerDriver`."""

    def __init__(
        self,
        known: Announcement,
        link: Link,
        pace: Pace,
        term: int,
        learned: Callable[[], None],
    ) -> None:
        """Build the driver.

        Args:
            known: What is known of it before it is heard.
            link: To its process.
            pace: How long it may be silent.
            term: Of the leader; the worker obeys only the latest one.
            learned: Called when it has told what it lacks for a plan.
        """
        self._said = known
        self._heard_time: float | None = None
        self._begin_time = time.monotonic()
        self._link = link
        self._pace = pace
        self._term = term
        self._learned = learned
        self._lacks: dict[int, tuple[MediaPlan, tuple[str, ...], float]] = {}
        self._asking: dict[int, asyncio.Task[None]] = {}
        self._releasing: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """See `WorkerDriver.name`."""
        return self._said.name

    @property
    def backend(self) -> str:
        """See `WorkerDriver.backend`."""
        return self._said.backend

    @property
    def address(self) -> str:
        """See `WorkerDriver.address`."""
        return self._said.address

    @property
    def grace_seconds(self) -> float:
        """See `WorkerDriver.grace_seconds`."""
        return self._said.grace_seconds

    @property
    def choosy(self) -> bool:
        """See `WorkerDriver.choosy`."""
        return self._said.choosy

    @property
    def silent_seconds(self) -> float:
        """How long it has not been heard of."""
        since = self._begin_time if self._heard_time is None else self._heard_time
        return time.monotonic() - since

    def hear(self, said: Announcement) -> bool:
        """Take a sign of life; whether it says something new."""
        before, self._said = self._said, said
        first, self._heard_time = self._heard_time is None, time.monotonic()
        if said.process != before.process or said.fault:
            self._lacks.clear()
        return first or said != before

    async def check(self) -> WorkerFacts:
        """See `WorkerDriver.check`; its process asks it, we ask when that was."""
        if self._heard_time is None:
            raise WorkerDownError("Its process has not been heard of yet.")
        if self.silent_seconds > self._pace.silence:
            raise WorkerDownError("Its process has fallen silent.")
        if self._said.fault or self._said.facts is None:
            raise WorkerDownError(self._said.fault or "It has not answered its process yet.")
        return self._said.facts

    def lacks(self, plan: MediaPlan) -> tuple[str, ...] | None:
        """See `WorkerDriver.lacks`; where that is not known, it is asked."""
        if not self.choosy:
            return ()
        known = self._lacks.get(id(plan))
        if known is None or time.monotonic() - known[2] > _ANSWER_SECONDS:
            self._ask_what_it_lacks(plan)
        return known[1] if known is not None else None

    async def learn(self, plan: MediaPlan) -> None:
        """See `WorkerDriver.learn`."""
        if self.choosy and self._heard_time is not None and id(plan) not in self._lacks:
            await asyncio.wait({self._ask_what_it_lacks(plan)})

    async def run(self, job: Job, attempt_id: str, report: Report) -> Made:
        """See `WorkerDriver.run`."""
        return await self._attend(job, attempt_id, report, begun=False)

    async def resume(self, job: Job, attempt_id: str, report: Report) -> Made:
        """See `WorkerDriver.resume`."""
        return await self._attend(job, attempt_id, report, begun=True)

    async def cancel(self, attempt_id: str) -> None:
        """See `WorkerDriver.cancel`."""
        answer = await self._insist("cancel", {"attempt_id": attempt_id})
        if (failure := answer.get("failure")) is not None:
            raise failure_from_fields(failure)

    async def forget(self, attempt_id: str) -> None:
        """See `WorkerDriver.forget`."""
        with contextlib.suppress(NobodyAnswersError, ServiceError):
            await self._ask("forget", {"attempt_id": attempt_id})

    def release(self, attempt_id: str) -> None:
        """See `WorkerDriver.release`.

        Where the worker is well it goes on in its process: whoever leads next will ask for it.
        """
        if self._said.fault or self.silent_seconds > self._pace.silence:
            task = asyncio.create_task(self._send_release(attempt_id))
            self._releasing.add(task)
            task.add_done_callback(self._releasing.discard)

    async def close(self) -> None:
        """End what is being asked."""
        tasks = [*self._asking.values(), *self._releasing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def keep(self, attempt_id: str) -> tuple[StoredMedia, ...]:
        """Have its process store what an attempt made.

        Raises:
            AttemptFailedError: It cannot be stored, or is gone with the process.
        """
        question = {"attempt_id": attempt_id}
        while self.silent_seconds <= self._pace.silence + self._pace.answer:
            with contextlib.suppress(NobodyAnswersError):
                answer = await self._ask("keep", question)
                if answer["state"] == "kept":
                    return media_from_fields(answer["files"])
                if answer["state"] == "failed":
                    raise failure_from_fields(answer["failure"])
                if answer["state"] == "unknown":
                    break
            await asyncio.sleep(_RETRY_SECONDS)
        raise AttemptFailedError(
            "ATTEMPT_LOST", "What was made was lost with its worker.", worth_retrying=True
        )

    async def _attend(self, job: Job, attempt_id: str, report: Report, *, begun: bool) -> Made:
        """See to it that an attempt goes on, until it is over."""
        news = _News(report)
        subject = self._link.inbox()
        hearing = await self._link.listen(subject, news.hear)
        question = {
            "job": job_fields(job),
            "attempt_id": attempt_id,
            "tell": subject,
            "begun": begun,
        }
        try:
            while True:
                news.hear(await self._insist("attend", question))
                question["begun"] = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.poll):
                        await news.over.wait()
                if news.outcome is not None:
                    return _made(news.outcome)
        finally:
            await end(hearing)

    def _ask_what_it_lacks(self, plan: MediaPlan) -> asyncio.Task[None]:
        task = self._asking.get(id(plan))
        if task is None:
            task = asyncio.create_task(self._learn(plan))
            self._asking[id(plan)] = task
        return task

    async def _learn(self, plan: MediaPlan) -> None:
        try:
            answer = await self._ask("lacks", {"plan": _plan_fields(plan)})
        except (NobodyAnswersError, ServiceError):
            return
        finally:
            del self._asking[id(plan)]
        if len(self._lacks) >= _ANSWERS_KEPT:
            self._lacks.clear()
        # The plan is kept, too: as long as it is, no other one has its id.
        self._lacks[id(plan)] = (plan, tuple(answer["lacks"]), time.monotonic())
        self._learned()

    async def _send_release(self, attempt_id: str) -> None:
        with contextlib.suppress(NobodyAnswersError, ServiceError):
            await self._ask("release", {"attempt_id": attempt_id})

    async def _insist(self, what: str, question: Fields) -> Fields:
        """Ask until there is an answer; whoever waits for it sets the limit."""
        while True:
            try:
                return await self._ask(what, question)
            except NobodyAnswersError:
                await asyncio.sleep(_RETRY_SECONDS)

    async def _ask(self, what: str, question: Fields) -> Fields:
        subject = worker_subject(self._link, self.name)
        return await self._link.ask(subject, {"what": what, "term": self._term, **question})


class _News:
    """What is heard of an attempt."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._begun = False
        self.over = asyncio.Event()
        self.outcome: Fields | None = None

    def hear(self, news: Fields) -> None:
        """Take a message, or the answer to a question how it stands."""
        if news.get("begun") and not self._begun:
            self._begun = True
            self._report(WorkBegun())
        if (progress := news.get("progress")) is not None:
            self._report(progress_from_fields(progress))
        if news.get("state") in ("made", "failed"):
            self.outcome = news
            self.over.set()


def worker_subject(link: Link, name: str) -> str:
    """Where a worker's process hears questions about it."""
    return link.subject("worker", token(name))


def _made(outcome: Fields) -> Made:
    if outcome["state"] == "failed":
        raise failure_from_fields(outcome["failure"])
    return Made((), facts_from_fields(outcome["facts"]))  # the files stay until they are stored


def _plan_fields(plan: MediaPlan) -> Fields:
    return dict(vars(plan))

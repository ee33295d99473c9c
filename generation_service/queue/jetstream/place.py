"""One worker in this process: checked, announced, and asked by the leader of the queue."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import structlog

from generation_service.queue.drivers import WorkerDownError
from generation_service.queue.jetstream.handling import Attempts
from generation_service.queue.jetstream.link import SilenceError, end
from generation_service.queue.jetstream.remote import Announcement, worker_subject
from generation_service.queue.jetstream.roster import ANNOUNCEMENTS
from servicekit.context import new_id

if TYPE_CHECKING:
    from generation_service.queue.drivers import WorkerDriver, WorkerFacts
    from generation_service.queue.jetstream.lease import Lease
    from generation_service.queue.jetstream.link import Link
    from generation_service.queue.jetstream.pace import Pace
    from generation_service.queue.jetstream.wire import Fields
    from generation_service.queue.keeping import Keeper
    from generation_service.queue.seats import HealthLimits

log = structlog.get_logger(__name__)


class Obedience:
    """Whom the workers of this process obey: the leader with the highest term."""

    def __init__(self) -> None:
        """Obey anybody so far."""
        self._term = 0

    def heed(self, term: int) -> bool:
        """Whether that leader is to be obeyed."""
        self._term = max(self._term, term)
        return term == self._term


@dataclass(frozen=True)
class Surroundings:
    """What all places of a process share.

    Attributes:
        link: To the leader.
        keeper: Stores what workers make.
        obedience: Whom they obey.
        pace: How often a sign of life is given.
        health: How often a worker is checked.
    """

    link: Link
    keeper: Keeper
    obedience: Obedience
    pace: Pace
    health: HealthLimits


class Place:
    """Looks after one worker until it is closed."""

    def __init__(
        self, driver: WorkerDriver, around: Surroundings, lease: Lease | None, *, fixed: bool
    ) -> None:
        """Begin to look after a worker.

        Args:
            driver: The worker; closed with the place.
            around: What it shares with others.
            lease: Of the worker, where other processes could look after it as well.
            fixed: It is part of this process.
        """
        self.driver = driver
        self._around = around
        self._lease = lease
        self._fixed = fixed
        self._process = new_id()
        self._facts: WorkerFacts | None = None
        self._fault = ""
        self._leaving = asyncio.Event()
        self._attempts = Attempts(driver, around.keeper, around.link)
        self._task = asyncio.create_task(self._look_after(), name=f"place-{driver.name}")

    async def drain(self) -> None:
        """Take no further job, and return when what runs is done and stored."""
        self._leaving.set()
        await self._attempts.idle.wait()

    async def close(self) -> None:
        """Let go of the worker; what runs on it goes on if it can."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._attempts.close()
        await self.driver.close()

    async def _look_after(self) -> None:
        while True:
            if self._lease is not None:
                await self._lease.take()
            asking = await self._around.link.answer(
                worker_subject(self._around.link, self.driver.name), self._answer
            )
            try:
                await self._serve()
            finally:
                await end(asking)
            log.warning("worker_lease_lost", worker=self.driver.name)

    async def _serve(self) -> None:
        """Check and announce it, for as long as it is this process's."""
        async with contextlib.AsyncExitStack() as stack:
            if self._lease is not None:
                stack.push_async_callback(self._lease.give_up)
            work = [asyncio.create_task(self._beat()), asyncio.create_task(self._check())]
            if self._lease is not None:
                work.append(asyncio.create_task(self._lease.hold()))
            try:
                await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in work:
                    task.cancel()
                for outcome in await asyncio.gather(*work, return_exceptions=True):
                    if isinstance(outcome, Exception):
                        log.error("worker_care_crashed", exc_info=outcome)

    async def _beat(self) -> None:
        while True:
            await self._announce()
            pause = self._around.pace.beat
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._leaving.wait()
                    await self._announce()
                    await asyncio.sleep(pause)

    async def _check(self) -> None:
        while True:
            before = (self._facts, self._fault)
            try:
                async with asyncio.timeout(self._around.health.answer_seconds):
                    self._facts = await self.driver.check()
                self._fault = ""
            except (WorkerDownError, TimeoutError) as exc:
                self._fault = str(exc) or "It does not answer in time."
            except Exception:
                # The edge of a worker: whatever it answers must not end our looking after it.
                log.exception("worker_check_crashed", worker=self.driver.name)
                self._fault = "Its check failed."
            if before != (self._facts, self._fault):
                await self._announce()
            health = self._around.health
            await asyncio.sleep(health.recheck_seconds if self._fault else health.check_seconds)

    async def _announce(self) -> None:
        said = Announcement(
            name=self.driver.name,
            backend=self.driver.backend,
            address=self.driver.address,
            fixed=self._fixed,
            leaving=self._leaving.is_set(),
            choosy=self.driver.choosy,
            grace_seconds=self.driver.grace_seconds,
            process=self._process,
            facts=self._facts,
            fault=self._fault,
        )
        await self._around.link.tell(self._around.link.subject(ANNOUNCEMENTS), asdict(said))

    async def _answer(self, question: Fields) -> Fields:
        if not self._around.obedience.heed(question["term"]):
            raise SilenceError  # it was replaced and does not know it yet
        return await self._attempts.answer(question)

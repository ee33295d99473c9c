"""The workers of all processes: who is heard becomes a worker of the leader's queue."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

from generation_service.backends.interface import AttemptFailedError
from generation_service.queue.jetstream.link import end
from generation_service.queue.jetstream.remote import (
    Announcement,
    RemoteDriver,
    announcement_from_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from generation_service.backends.interface import MadeFile
    from generation_service.media.interface import StoredMedia
    from generation_service.queue.jetstream.link import Link
    from generation_service.queue.jetstream.notebook import Notebook
    from generation_service.queue.jetstream.pace import Pace
    from generation_service.queue.jetstream.wire import Fields
    from generation_service.queue.jobs import Job
    from generation_service.queue.keeping import AttemptName
    from generation_service.queue.pool import WorkerPool

ANNOUNCEMENTS = "announcement"
"""Where workers give signs of life."""
_ROSTER = "roster"


class Roster:
    """Listens for workers. A `Keeper`, too: what a worker made is stored where it is."""

    def __init__(
        self,
        link: Link,
        notebook: Notebook,
        pace: Pace,
        term: int,
        backend_and_name_of: Callable[[str], tuple[str, str]],
    ) -> None:
        """Build the roster.

        Args:
            link: To the workers' processes.
            notebook: Remembers who was there.
            pace: How long a worker may be silent.
            term: Of the leader.
            backend_and_name_of: What the worker at an address is called. Raises
                AddressInvalidError.
        """
        self._link = link
        self._notebook = notebook
        self._pace = pace
        self._term = term
        self._backend_and_name_of = backend_and_name_of
        self._drivers: dict[str, RemoteDriver] = {}
        self._fixed: set[str] = set()
        self._pool: WorkerPool | None = None
        self._changed = asyncio.Event()
        self._noted = ""

    def connect(self, address: str) -> RemoteDriver:
        """A worker that people add: some process that can will look after it.

        Raises:
            AddressInvalidError: The address is none.
        """
        backend, name = self._backend_and_name_of(address)
        return self._driver(Announcement(name, backend, address))

    async def remembered(self, running: Iterable[str]) -> list[RemoteDriver]:
        """The workers that were there when the queue was led last: nobody has to be heard first.

        Args:
            running: Names of workers that have a job, known or not.
        """
        self._noted = await self._notebook.fact(_ROSTER)
        known = [announcement_from_fields(each) for each in json.loads(self._noted or "[]")]
        names = {each.name for each in known}
        known += [Announcement(name, "", "") for name in sorted({*running} - names)]
        self._fixed = {each.name for each in known if each.fixed}
        return [self._driver(each) for each in known]

    async def attend(self, pool: WorkerPool) -> None:
        """Take up those who are heard and let go of those who are not, until cancelled."""
        self._pool = pool
        hearing = await self._link.listen(self._link.subject(ANNOUNCEMENTS), self._hear)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.forget / 10):
                        await self._changed.wait()
                self._changed.clear()
                await self._let_go(pool)
                await self._remember(pool)
        finally:
            await end(hearing)

    async def keep(
        self, job: Job, attempt: AttemptName, files: Iterable[MadeFile]
    ) -> tuple[StoredMedia, ...]:
        """See `Keeper.keep`."""
        driver = self._drivers.get(attempt.worker)
        if driver is None:
            raise AttemptFailedError("ATTEMPT_LOST", "The worker is gone.", worth_retrying=True)
        return await driver.keep(attempt.attempt_id)

    def is_fixed(self, driver: RemoteDriver) -> bool:
        """Whether a worker is part of its process."""
        return driver.name in self._fixed

    def _driver(self, known: Announcement) -> RemoteDriver:
        driver = RemoteDriver(known, self._link, self._pace, self._term, self._learned)
        self._drivers.setdefault(known.name, driver)
        return self._drivers[known.name]

    def _learned(self) -> None:
        if self._pool is not None:
            self._pool.recheck()

    def _hear(self, fields: Fields) -> None:
        said = announcement_from_fields(fields)
        if self._pool is None:
            return
        if said.fixed:
            self._fixed.add(said.name)
        driver = self._driver(said)
        news = driver.hear(said)
        if not said.leaving and self._pool.arrive(driver, fixed=said.fixed):
            self._changed.set()
        elif news:
            self._pool.recheck(said.name)
            if said.leaving:
                self._pool.rest(said.name)

    async def _let_go(self, pool: WorkerPool) -> None:
        for name, driver in list(self._drivers.items()):
            gone = driver.silent_seconds > self._pace.forget and driver.address not in pool.wanted
            if gone:
                await pool.depart(name)
                del self._drivers[name]

    async def _remember(self, pool: WorkerPool) -> None:
        known = [
            {
                "name": view.name,
                "backend": view.backend,
                "address": view.address,
                "fixed": view.name in self._fixed,
                "facts": None,
            }
            for view in await pool.workers()
            if view.backend
        ]
        noted = json.dumps(known)
        if noted != self._noted:
            await self._notebook.note_fact(_ROSTER, noted)
            self._noted = noted

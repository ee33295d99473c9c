"""A process with workers: gives signs of life for them and does what the leader asks.

A worker that is reached over the network belongs to one process at a time, by a lease; another
process that knows its address stands by and takes over when the first one dies.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from generation_service.queue.interface import AddressInvalidError
from generation_service.queue.jetstream.lease import Lease
from generation_service.queue.jetstream.link import end
from generation_service.queue.jetstream.notebook import token
from generation_service.queue.jetstream.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from generation_service.queue.drivers import WorkerDriver
    from generation_service.queue.jetstream.documents import Documents
    from generation_service.queue.jetstream.place import Surroundings
    from generation_service.queue.jetstream.wire import Fields

LEADER_NEWS = "leader"
"""Where the leader gives signs of life."""


class WorkerHost:
    """The workers of this process. Use it as a context manager."""

    def __init__(
        self,
        leases: Documents,
        around: Surroundings,
        connect: Callable[[str], WorkerDriver],
        *,
        drivers: Iterable[WorkerDriver] = (),
        built_in: Iterable[WorkerDriver] = (),
    ) -> None:
        """Build the host; it closes all drivers.

        Args:
            leases: Who looks after which worker.
            around: What the workers share.
            connect: Makes a worker from an address that people added. Raises AddressInvalidError.
            drivers: The workers that the settings name by their addresses.
            built_in: Workers that are part of this process.
        """
        self._leases = leases
        self._around = around
        self._connect = connect
        self._drivers = list(drivers)
        self._built_in = list(built_in)
        self._places: dict[str, Place] = {}
        self._added: dict[str, Place] = {}
        self._going: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Begin to look after the workers."""
        link = self._around.link
        self._listening = await link.listen(link.subject(LEADER_NEWS), self._hear)
        for driver in self._drivers:
            self._take_up(driver, fixed=False)
        for driver in self._built_in:
            self._take_up(driver, fixed=True)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of the workers; what runs on them goes on if it can."""
        await end(self._listening)
        await asyncio.gather(*(place.close() for place in self._places.values()), *self._going)

    async def drain(self, limit_seconds: float) -> None:
        """Take no further job, and wait until what runs is done and stored."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_seconds):
                await asyncio.gather(*(place.drain() for place in self._places.values()))

    def _take_up(self, driver: WorkerDriver, *, fixed: bool) -> Place:
        lease = None
        if not fixed:
            seconds = self._around.pace.lease
            lease = Lease(self._leases, f"worker.{token(driver.name)}", seconds)
        place = self._places[driver.name] = Place(driver, self._around, lease, fixed=fixed)
        return place

    def _hear(self, news: Fields) -> None:
        """Heed the leader: who leads, and which workers people have added or taken back."""
        if not self._around.obedience.heed(news["term"]):
            return
        known = {place.driver.address for place in self._places.values()}
        for address in news["wanted"]:
            if address not in known:
                with contextlib.suppress(AddressInvalidError):
                    driver = self._connect(address)
                    self._added[address] = self._take_up(driver, fixed=False)
        for address in self._added.keys() - set(news["wanted"]):
            place = self._added.pop(address)
            del self._places[place.driver.name]
            task = asyncio.create_task(place.close())
            self._going.add(task)
            task.add_done_callback(self._going.discard)

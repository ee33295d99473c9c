"""What a process of a shared queue is made of, ready to be put together."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from generation_service.queue.jetstream.documents import Documents
from generation_service.queue.jetstream.host import WorkerHost
from generation_service.queue.jetstream.leader import Leadership
from generation_service.queue.jetstream.link import open_link
from generation_service.queue.jetstream.place import Obedience, Surroundings
from generation_service.queue.jetstream.replica import JetStreamJobQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from generation_service.queue.drivers import WorkerDriver
    from generation_service.queue.jetstream.access import NatsOptions
    from generation_service.queue.jetstream.leader import Rules
    from generation_service.queue.jetstream.link import Link
    from generation_service.queue.keeping import Keeper


class Crew(Protocol):
    """The workers of a process."""

    @property
    def drivers(self) -> Sequence[WorkerDriver]:
        """Those that are reached by their addresses."""

    @property
    def built_in(self) -> Sequence[WorkerDriver]:
        """Those that are part of the process."""

    @property
    def connect(self) -> Callable[[str], WorkerDriver]:
        """Makes a worker from an address. Raises AddressInvalidError."""


class Deployment:
    """A connection to the deployment's NATS, and what is kept there. See `open_deployment`."""

    def __init__(self, link: Link, rules: Rules) -> None:
        """Use a connection."""
        self._link = link
        self._rules = rules
        self._jobs = Documents(link, "jobs")
        self._leases = Documents(link, "leases")

    async def prepare(self) -> None:
        """Make the streams where they are missing."""
        await self._jobs.prepare()
        await self._leases.prepare()

    def host(self, crew: Crew, keeper: Keeper) -> WorkerHost:
        """The part of a process that has workers."""
        rules = self._rules
        around = Surroundings(self._link, keeper, Obedience(), rules.pace, rules.health)
        return WorkerHost(
            self._leases, around, crew.connect, drivers=crew.drivers, built_in=crew.built_in
        )

    def replica(self) -> JetStreamJobQueue:
        """The part of a process that takes calls, and leads the queue if need be."""
        leadership = Leadership(self._link, self._jobs, self._leases, self._rules)
        return JetStreamJobQueue(self._link, self._leases, leadership, self._rules.pace)


@contextlib.asynccontextmanager
async def open_deployment(
    options: NatsOptions, rules: Rules, turned_out: Callable[[], None] = lambda: None
) -> AsyncIterator[Deployment]:
    """Connect to NATS and prepare what is kept there.

    Args:
        options: Where and how.
        rules: Of the queue.
        turned_out: Called when a server ends the connection for good.

    Raises:
        ConfigurationError: The server is not there, or does not let us in.
    """
    async with open_link(options, answer_seconds=rules.pace.answer, turned_out=turned_out) as link:
        deployment = Deployment(link, rules)
        await deployment.prepare()
        yield deployment

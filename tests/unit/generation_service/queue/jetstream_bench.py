"""A queue of several processes, all of them in this one, before scripted workers."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from generation_service.queue.interface import AddressInvalidError, QueueLimits
from generation_service.queue.jetstream.documents import Documents
from generation_service.queue.jetstream.host import WorkerHost
from generation_service.queue.jetstream.leader import Leadership, Rules
from generation_service.queue.jetstream.link import open_link
from generation_service.queue.jetstream.pace import Pace
from generation_service.queue.jetstream.place import Obedience, Surroundings
from generation_service.queue.jetstream.replica import JetStreamJobQueue
from generation_service.queue.jetstream.wire import unpack
from servicekit.context import new_id
from tests.support import eventually
from tests.unit.generation_service.queue.workbench import (
    IN_MEMORY,
    QUICK,
    Bench,
    Shelf,
    connecting,
    crew_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from generation_service.queue.seats import HealthLimits
    from tests.nats import NatsServer
    from tests.unit.generation_service.queue.workbench import Pooling, ScriptedWorker

CALM = Pace(beat=0.05, silence=20.0, lease=20.0, answer=5.0, patience=30.0)
"""Signs of life come often, and nobody dies because the machine is busy."""


def jetstream_pooling(server: NatsServer) -> Pooling:
    """Opens queues over a server; a path stands for a deployment."""

    @contextlib.asynccontextmanager
    async def pooling(
        workers: Bench | Sequence[ScriptedWorker],
        limits: QueueLimits | None = None,
        *,
        path: Path = IN_MEMORY,
        health: HealthLimits = QUICK,
        shelf: Shelf | None = None,
        built_in: Sequence[ScriptedWorker] = (),
    ) -> AsyncIterator[tuple[JetStreamJobQueue, JetStreamJobQueue]]:
        bench, crew = crew_of(workers)
        name = new_id() if path == IN_MEMORY else hashlib.sha256(str(path).encode()).hexdigest()
        options = server.options(f"test.{name}", in_memory=True)
        rules = Rules(limits or QueueLimits(), health, CALM, identify)
        async with open_link(options, answer_seconds=CALM.answer) as link:
            jobs, leases = Documents(link, "jobs"), Documents(link, "leases")
            await jobs.prepare()
            await leases.prepare()
            around = Surroundings(link, shelf or Shelf(), Obedience(), CALM, health)
            host = WorkerHost(leases, around, connecting(bench), drivers=crew, built_in=built_in)
            leadership = Leadership(link, jobs, leases, rules)
            async with host, JetStreamJobQueue(link, leases, leadership, CALM) as queue:
                removed = await removed_addresses(jobs)
                here = [one for one in (*crew, *built_in) if one.address not in removed]
                await eventually(lambda: all_known(queue, here))
                yield queue, queue

    return pooling


def identify(address: str) -> tuple[str, str]:
    """Backend and name of a worker that is added."""
    if not address.startswith("http://"):
        raise AddressInvalidError("That is no address.")
    return "embedded", address.removeprefix("http://")


async def removed_addresses(jobs: Documents) -> set[str]:
    """Workers that people have removed."""
    notes = [unpack(note.value) for note in (await jobs.all("worker")).values()]
    return {note["address"] for note in notes if note["presence"] == "removed"}


async def all_known(queue: JetStreamJobQueue, crew: Sequence[ScriptedWorker]) -> bool:
    """Whether the leader has heard of all workers."""
    known = {view.name for view in await queue.workers()}
    return {worker.name for worker in crew} <= known

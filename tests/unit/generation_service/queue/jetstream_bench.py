"""A queue of several processes, all of them in this one, before scripted workers."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from generation_service.queue.interface import AddressInvalidError, QueueLimits
from generation_service.queue.jetstream.deployment import open_deployment
from generation_service.queue.jetstream.leader import Rules
from generation_service.queue.jetstream.pace import Pace
from generation_service.workers.opening import Crew
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

    from generation_service.queue.jetstream.replica import JetStreamJobQueue
    from generation_service.queue.seats import HealthLimits
    from tests.nats import NatsServer
    from tests.unit.generation_service.queue.workbench import Pooling, ScriptedWorker

CALM = Pace(beat=0.05, silence=20.0, lease=20.0, answer=5.0, patience=30.0)
"""Signs of life come often, and nobody dies because the machine is busy."""


def jetstream_pooling(server: NatsServer, *, in_memory: bool = True) -> Pooling:
    """Opens queues over a server; a path stands for a deployment."""

    opened: set[Path] = set()

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
        options = server.options(f"test.{name}", in_memory=in_memory)
        rules = Rules(limits or QueueLimits(), health, CALM, identify)
        own = Crew(crew, built_in, connecting(bench))
        async with open_deployment(options, rules) as deployment:
            host, replica = deployment.host(own, shelf or Shelf()), deployment.replica()
            async with host, replica as queue:
                if path not in opened:  # later on they are remembered
                    await eventually(lambda: all_known(queue, [*crew, *built_in]))
                if path != IN_MEMORY:
                    opened.add(path)
                yield queue, queue

    return pooling


def identify(address: str) -> tuple[str, str]:
    """Backend and name of a worker that is added."""
    if not address.startswith("http://"):
        raise AddressInvalidError("That is no address.")
    return "embedded", address.removeprefix("http://")


async def all_known(queue: JetStreamJobQueue, crew: Sequence[ScriptedWorker]) -> bool:
    """Whether the leader has heard of all workers."""
    known = {view.name for view in await queue.workers()}
    return {worker.name for worker in crew} <= known

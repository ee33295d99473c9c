"""Generation services as processes before one NATS server: replicas and workers to be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servicekit.channel import open_channel
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk_cli.readiness import wait_until_serving
from tests.integration.comfyui_jobs import workers_of
from tests.support import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    import grpc

    from tests.integration.generation import Stub
    from tests.nats import NatsServer

START_SECONDS = 120.0
STOP_SECONDS = 60.0
QUICK = {"QUEUE_LEASE_SECONDS": "2", "WORKER_SILENCE_SECONDS": "3", "WORKER_CHECK_SECONDS": "1"}


@dataclass
class Member:
    """One process of the fleet."""

    environment: dict[str, str]
    address: str
    process: asyncio.subprocess.Process | None = None
    module: str = "generation_service"

    async def start(self) -> None:
        """Start it, again if it was killed."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self.module),
            env=os.environ | self.environment,
            stdout=asyncio.subprocess.DEVNULL,
        )

    async def kill(self) -> None:
        """Kill it, as a machine that loses its power would."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def stop(self) -> None:
        """Ask it to end, as a rolling restart does, and wait until it has."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)

    @property
    def has_ended(self) -> bool:
        """Whether it was started and runs no more."""
        return self.process is not None and self.process.returncode is not None

    async def serving(self) -> None:
        """Wait until it is ready."""
        assert await wait_until_serving(self.address, START_SECONDS)


@dataclass
class Replica(Member):
    """One that takes calls."""

    channel: grpc.aio.Channel | None = None

    @property
    def stub(self) -> Stub:
        """To call it."""
        assert self.channel is not None
        return GenerationServiceStub(self.channel)


@dataclass
class Fleet:
    """Replicas and processes with workers."""

    replicas: list[Replica]
    workers: list[Member]

    async def all_well(self) -> bool:
        """Whether all ComfyUI servers are known to be well."""
        workers = await workers_of(self.replicas[0].stub)
        return len(workers) == len(self.workers) and all(one.version for one in workers.values())


@contextlib.asynccontextmanager
async def open_fleet(
    folder: Path,
    nats: NatsServer,
    urls: Sequence[str],
    *,
    replicas: int = 1,
    settings: Mapping[str, str] = QUICK,
) -> AsyncIterator[Fleet]:
    """Run some replicas, and a process for each of the ComfyUI servers.

    They share a folder, as they would share a bucket.
    """
    common = {
        "GENERATION_QUEUE": "jetstream",
        "GENERATION_NATS_URL": nats.url,
        "GENERATION_DATA_DIR": str(folder),
        "GENERATION_EMBEDDED_PRELOAD": "false",
        "GENERATION_WORKER_SLOTS": "0",
        "GENERATION_LOG_LEVEL": "ERROR",
        **{f"GENERATION_{name}": value for name, value in settings.items()},
    }

    def environment(**own: str) -> tuple[dict[str, str], str]:
        address = f"127.0.0.1:{free_port()}"
        return common | {"GENERATION_LISTEN_ADDRESS": address} | own, address

    async with contextlib.AsyncExitStack() as stack:
        fleet = Fleet(
            [Replica(*environment(GENERATION_ROLE="api")) for _ in range(replicas)],
            [Member(*environment(GENERATION_ROLE="worker", COMFYUI_WORKERS=url)) for url in urls],
        )
        members = [*fleet.replicas, *fleet.workers]
        for replica in fleet.replicas:
            replica.channel = await stack.enter_async_context(open_channel(replica.address))
        try:
            for member in members:
                await member.start()
            for member in members:
                await member.serving()
            await eventually(fleet.all_well, within_seconds=START_SECONDS)
            yield fleet
        finally:
            await asyncio.gather(*(member.kill() for member in members))

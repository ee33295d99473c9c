"""Three orchestrators as processes beside one house, that can be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from servicekit.channel import open_channel
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk_cli.readiness import wait_until_serving
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import grpc

    from tests.integration.house import House

COUNT = 3
START_SECONDS = 120.0
LEASE_SECONDS = 4.0
HEARTBEAT_SECONDS = 0.3


@dataclass
class Replica:
    """One orchestrator.

    Attributes:
        house: The deployment, with this orchestrator as the way in.
    """

    house: House
    process: subprocess.Popen[bytes]
    _environment: dict[str, str]
    _channel: grpc.aio.Channel

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.poll() is None

    async def kill(self) -> None:
        """Kill it, as a machine that loses its power would."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait, 20)

    def revive(self) -> None:
        """Start it again at the same address, if it does not run."""
        if not self.alive:
            self.process = start_process(self._environment)

    async def serving(self) -> None:
        """Wait until it takes calls."""
        assert await wait_until_serving(self.house.address, START_SECONDS)
        await asyncio.wait_for(self._channel.channel_ready(), START_SECONDS)


def start_process(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start an orchestrator."""
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator"],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
    )


@contextlib.asynccontextmanager
async def open_replicas(house: House, folder: Path) -> AsyncIterator[list[Replica]]:
    """Run three orchestrators that share the services of a house; its own stays out of it."""
    async with contextlib.AsyncExitStack() as stack:
        replicas = []
        for _ in range(COUNT):
            address = f"127.0.0.1:{free_port()}"
            environment = {
                "ORCHESTRATOR_LISTEN_ADDRESS": address,
                "ORCHESTRATOR_SAFETY_ADDRESS": house.settings.safety_address,
                "ORCHESTRATOR_GENERATION_ADDRESS": house.settings.generation_address,
                "ORCHESTRATOR_TRACKER_ADDRESS": house.settings.tracker_address,
                "ORCHESTRATOR_SPOOL_DIR": str(folder / "spool"),
                "ORCHESTRATOR_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
                "ORCHESTRATOR_LOG_LEVEL": "ERROR",
            }
            channel = await stack.enter_async_context(open_channel(address))
            way_in = replace(house, orchestrator=OrchestratorServiceStub(channel), address=address)
            replicas.append(Replica(way_in, start_process(environment), environment, channel))
        try:
            for one in replicas:
                await one.serving()
            yield replicas
        finally:
            for one in replicas:
                one.process.kill()
            for one in replicas:
                await asyncio.to_thread(one.process.wait, 20)

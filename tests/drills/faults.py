"""What is done to a tracker while it works."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import uuid
from typing import TYPE_CHECKING

import grpc

from servicekit.channel import open_channel
from servicekit.errors import Code, remote_error
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from stellwerk_cli.readiness import wait_until_serving
from tests.support import eventually

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator

    from tests.e2e.deployment import Deployment

START_SECONDS = 60.0
KILLS, FREEZES, FULL_DISKS = 20, 2, 1
FREEZE_SECONDS = 10.0
FULL_SECONDS = 5.0
FULL_BYTES = 32 * 1024


class TrackerFaults:
    """Does to the tracker of a deployment what a seed decides."""

    def __init__(self, deployment: Deployment, choice: random.Random) -> None:
        """Take a deployment whose services are not restarted by `up`."""
        self._deployment = deployment
        self._choice = choice

    async def run(self) -> None:
        """Kill, freeze and fill the disk, in random order and at random moments."""
        faults = [self.kill] * KILLS + [self.freeze] * FREEZES + [self.fill_disk] * FULL_DISKS
        self._choice.shuffle(faults)
        for fault in faults:
            await asyncio.sleep(self._choice.uniform(0.0, 1.5))
            await fault()

    async def kill(self) -> None:
        """Kill it, start it again and wait until it serves."""
        await asyncio.to_thread(self._deployment.kill, "tracker")
        await revive(self._deployment)

    async def freeze(self) -> None:
        """Stop the process for ten seconds."""
        async with frozen(self._deployment):
            await asyncio.sleep(FREEZE_SECONDS)

    async def fill_disk(self) -> None:
        """Let no file of the tracker grow for some seconds: log, database, records, exports.

        A limit on the size of files works everywhere, for everyone, on a process that runs, and the
        kernel refuses each write for real; a small file system of its own would need rights that
        not every machine gives. What differs is the error's name: EFBIG instead of ENOSPC.
        """
        pid = self._deployment.starts["tracker"][2].pid
        free = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_BYTES, free[1]))
        await eventually(self._refuses)
        await asyncio.sleep(FULL_SECONDS)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, free)
        await eventually(self._takes, within_seconds=START_SECONDS)

    async def _takes(self) -> bool:
        """Tell whether the tracker can store something."""
        claim = tracker_pb2.ClaimExecutionRequest(
            execution_id=str(uuid.uuid4()), owner_address="127.0.0.1:1"
        )
        async with open_channel(self._deployment.address("tracker")) as channel:
            try:
                await TrackerServiceStub(channel).ClaimExecution(claim, timeout=5)
            except grpc.aio.AioRpcError as exc:
                assert remote_error(exc).code is Code.UNAVAILABLE
                return False
        return True

    async def _refuses(self) -> bool:
        return not await self._takes()


@contextlib.asynccontextmanager
async def frozen(deployment: Deployment) -> AsyncIterator[None]:
    """Stop the tracker's process, and let it go on."""
    process = deployment.starts["tracker"][2]
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


async def revive(deployment: Deployment, service: str = "tracker") -> None:
    """Start a service that ended, and wait until it serves."""
    deployment.revive(service)
    address = deployment.address(service)
    assert await wait_until_serving(address, START_SECONDS), f"{service} does not serve"

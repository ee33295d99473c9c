"""The command of the images' health checks."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from servicekit.server import start_server
from tests.support import free_port, local_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc

    from servicekit.server import Owned


async def probe(address: str) -> int:
    """Run the command and return its exit code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "servicekit.probe", address, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert err == b""
    return process.returncode or 0


async def nothing(_server: grpc.aio.Server, _owned: Owned) -> Sequence[str]:
    """Register no service: health is there anyway."""
    return ()


async def test_a_service_that_serves_is_ready() -> None:
    """A running server answers, so the command ends with 0."""
    async with start_server(local_settings(), nothing) as server:
        assert await probe(server.address) == 0


async def test_a_service_that_is_not_there_is_not_ready() -> None:
    """Where nobody listens the command ends with 1, over gRPC and over HTTP, and says nothing."""
    address = f"127.0.0.1:{free_port()}"
    assert await probe(address) == 1
    assert await probe(f"http://{address}/readyz") == 1

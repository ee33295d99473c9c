"""What tests of all packages share: waiting, free ports, servers in this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any, TypeVar, overload

from servicekit.channel import open_channel
from servicekit.server import start_server
from servicekit.settings import ServiceSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    import grpc

    from servicekit.server import Register

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Coroutine[Any, Any, T]], *, within_seconds: float = 30.0
) -> T: ...


@overload
async def eventually(condition: Callable[[], T], *, within_seconds: float = 30.0) -> T: ...


async def eventually(condition: Callable[[], Any], *, within_seconds: float = 30.0) -> Any:
    """Wait until `condition` returns something true, and return that.

    Args:
        condition: Asked again and again; may be a coroutine function. An AssertionError counts as
            "not yet", and is what the test reports if it stays.
        within_seconds: Give up after this; far more than it should take, since only a broken
            test ever waits that long.

    Raises:
        AssertionError: It did not come true.
    """
    give_up = time.monotonic() + within_seconds
    pause = 0.001
    while True:
        fault: AssertionError | None = None
        try:
            result = condition()
            value = await result if asyncio.iscoroutine(result) else result
            if value:
                return value
        except AssertionError as exc:
            fault = exc
        if time.monotonic() > give_up:
            raise fault or AssertionError(f"did not come true within {within_seconds} s")
        await asyncio.sleep(pause)
        pause = min(0.05, pause * 1.5)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now; prefer port 0 where a server names its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def local_settings() -> ServiceSettings:
    """Return settings of a server on a free loopback port without credentials."""
    return ServiceSettings(listen_address="127.0.0.1:0", grace_seconds=1)


@contextlib.asynccontextmanager
async def serving(
    register: Register, settings: ServiceSettings | None = None
) -> AsyncIterator[grpc.aio.Channel]:
    """Run a real server in this process and yield a channel to it.

    Args:
        register: Adds the servicers.
        settings: `local_settings()` unless given.
    """
    async with (
        start_server(settings or local_settings(), register) as server,
        open_channel(server.address) as channel,
    ):
        yield channel

"""A way to a server that can fall silent, as a network does: no error, no end, no bytes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNK_BYTES = 64 * 1024


class SilentProxy:
    """Passes bytes on in both directions while it `speaks`.

    Attributes:
        speaks: Set while bytes pass; new connections are accepted all the same.
    """

    def __init__(self, port: int) -> None:
        """Lead to a port of this machine."""
        self.speaks = asyncio.Event()
        self.speaks.set()
        self._port = port
        self._running: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve; yields the address."""

        def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._connect(reader, writer))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

        server = await asyncio.start_server(connect, "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            running = list(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with contextlib.AsyncExitStack() as closing:
            closing.push_async_callback(_close, writer)
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._port)
            closing.push_async_callback(_close, to_writer)
            there = asyncio.create_task(self._pass(reader, to_writer))
            back = asyncio.create_task(self._pass(to_reader, writer))
            try:  # one direction that ends is the end of the connection
                await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self.speaks.wait()
            writer.write(data)
            await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()

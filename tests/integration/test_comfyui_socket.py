"""The one socket to a worker: it stays open, says whose it is, and never pauses."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from socket import AF_INET, AF_INET6, AddressFamily
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import websockets
from aiohttp.abc import AbstractResolver, ResolveResult

from generation_service.backends.comfyui.errors import PromptReleasedError
from generation_service.backends.comfyui.prompt import Progressed
from generation_service.backends.comfyui.socket import WorkerSocket
from tests.fakes.comfyui import ComfyUIServer, prompt_id_of
from tests.integration.comfyui import (
    QUICK_SOCKET,
    MemorySink,
    of_kind,
    picture_graph,
    prompt_of,
    working,
)
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from generation_service.backends.comfyui.prompt import Happening, OutputFile
    from generation_service.backends.comfyui.socket import SocketLimits


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    """A stand-in."""
    async with ComfyUIServer() as server:
        yield server


@contextlib.asynccontextmanager
async def opened(url: str, limits: SocketLimits = QUICK_SOCKET) -> AsyncIterator[WorkerSocket]:
    """Yield a socket that is open."""
    socket = WorkerSocket(url, limits)
    socket.start()
    try:
        assert await socket.ready(5.0)
        yield socket
    finally:
        await socket.close()


class Relay:
    """Passes bytes on to a server until it is frozen: then, like a dead cable, nothing comes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.frozen_count = 0

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        """Freeze every connection that stands now; new ones work."""
        for task in self._tasks:
            task.cancel()
            self.frozen_count += 1

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, there[1]]
        for source, target in ((reader, there[1]), (there[0], writer)):
            self._tasks.add(asyncio.create_task(self._pass(source, target)))

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()


async def test_socket_says_who_it_is(comfy: ComfyUIServer) -> None:
    """The server knows the socket by the name under which prompts are posted."""
    async with opened(comfy.url) as first, opened(comfy.url) as second:
        assert set(comfy.connected_clients) == {first.client_id, second.client_id}
        assert len(first.client_id) == 32
    await eventually(lambda: not comfy.connected_clients)


async def test_socket_comes_back_after_a_restart(comfy: ComfyUIServer) -> None:
    """A worker that was away is connected again without anybody asking."""
    async with opened(comfy.url) as socket:
        await comfy.kill()
        await eventually(lambda: not socket.is_open)
        await comfy.start()
        await eventually(lambda: socket.is_open)
        assert socket.break_count == 1


async def test_progress_goes_on_after_a_break(comfy: ComfyUIServer) -> None:
    """When the server closed the socket, its name is safe to use again, and messages go on."""
    heard: list[Happening] = []
    graph = picture_graph(ProbeTick={"tag": 1, "ticks": 60, "tick_ms": 20})
    async with working(comfy) as worker:
        task = asyncio.create_task(worker.run(prompt_of(graph), MemorySink(), heard.append))
        await eventually(lambda: of_kind(heard, Progressed))
        comfy.cut_sockets()
        await eventually(lambda: not worker.is_connected)
        await eventually(lambda: worker.is_connected)
        before = len(heard)
        await eventually(lambda: len(heard) > before + 5)
        await task


async def test_silent_connection_is_noticed_and_never_reused(comfy: ComfyUIServer) -> None:
    """Without an answer to a ping a new socket is opened, under a new name.

    The server still holds the old one; under the same name the new one would fall deaf when the
    old one closes.
    """
    limits = replace(QUICK_SOCKET, ping_seconds=0.1, pong_seconds=0.1)
    relay = Relay(comfy.port)
    async with relay as url, opened(url, limits) as socket:
        name = socket.client_id
        relay.freeze()
        await eventually(lambda: socket.break_count == 1)
        await eventually(lambda: socket.is_open)
        assert socket.client_id != name


async def test_deaf_socket_gets_a_new_name(comfy: ComfyUIServer) -> None:
    """A socket that hears nothing of a prompt just posted is given up with its name."""
    async with opened(comfy.url) as socket:
        name = socket.client_id
        comfy.forget_client(name)
        socket.expect_status(socket.status_count)
        await eventually(lambda: socket.break_count == 1)
        await eventually(lambda: socket.is_open)
        assert socket.client_id != name


async def test_socket_that_hears_is_kept(comfy: ComfyUIServer) -> None:
    """A change of the queue after a post is all that is asked for."""
    hasty = replace(QUICK_SOCKET, status_seconds=0.05)
    async with opened(comfy.url, hasty) as socket, working(comfy, socket=hasty) as worker:
        for _ in range(5):
            before = socket.status_count
            prompt = prompt_of(picture_graph(ProbeSleep={"tag": 1, "seconds": 0.03}))
            await worker.run(prompt, MemorySink())
            await eventually(lambda: socket.status_count > before)  # noqa: B023
            socket.expect_status(before)
        assert socket.break_count == 0
        assert worker.is_connected


async def test_garbage_never_stops_the_reader() -> None:
    """Whatever a server sends, the next good message is heard on the same socket."""
    good = json.dumps({"type": "status", "data": {"status": {}}})
    garbage: list[Any] = [
        "",
        "{",
        "[]",
        "null",
        '{"type":"progress","data":{"prompt_id":"p","value":{},"max":"x"}}',
        '{"type":"progress_state","data":{"prompt_id":"p","nodes":{"1":null,"2":[]}}}',
        '{"type":"executing","data":{"prompt_id":["p"],"node":null}}',
        '{"type":"execution_cached","data":{"prompt_id":"p","nodes":{"a":1}}}',
        '{"type":["status"],"data":null}',
        b"",
        b"\0\0\0\1",
        b"\0\0\0\4\xff\xff\xff\xff",
        b"\xff" * 100,
    ]

    async def serve(connection: websockets.ServerConnection) -> None:
        await connection.send(good)
        for message in garbage:
            await connection.send(message)
        await connection.send(b"\xff{", text=True)  # a text frame that is no UTF-8
        await connection.send(good)
        await connection.wait_closed()

    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with opened(f"http://127.0.0.1:{port}") as socket:
            with socket.watching("p") as box:
                await eventually(lambda: socket.status_count == 2)
                assert not box.ended
            assert socket.break_count == 0


async def test_frame_over_the_limit_costs_the_socket_only(comfy: ComfyUIServer) -> None:
    """A message too large to hold breaks the socket; the prompt's end is found by asking."""
    tight = replace(QUICK_SOCKET, max_frame_bytes=200)
    prompt = prompt_of(picture_graph(ProbeTick={"tag": 1, "ticks": 20, "tick_ms": 10}))
    sink = MemorySink()
    async with working(comfy, socket=tight) as worker:
        await worker.run(prompt, sink)
    assert prompt_id_of(sink.files[1]) == prompt.prompt_id


async def test_slow_storing_does_not_stop_the_reader(comfy: ComfyUIServer) -> None:
    """While one prompt's file is stored slowly, another prompt runs and tells its progress."""
    gate = asyncio.Event()

    class SlowSink(MemorySink):
        async def store(self, file: OutputFile, pieces: AsyncIterator[bytes]) -> None:
            await gate.wait()
            await super().store(file, pieces)

    heard: list[Happening] = []
    async with working(comfy) as worker:
        slow = asyncio.create_task(worker.run(prompt_of(picture_graph()), SlowSink()))
        await worker.run(prompt_of(picture_graph()), MemorySink(), heard.append)
        assert of_kind(heard, Progressed)
        assert not slow.done()
        gate.set()
        await slow


async def test_closing_lets_go_of_what_runs(comfy: ComfyUIServer) -> None:
    """A client that closes ends nobody's prompt; it goes on and can be taken over."""
    graph = picture_graph(ProbeTick={"tag": 1, "ticks": 10, "tick_ms": 20})
    prompt, sink = prompt_of(graph), MemorySink()
    async with working(comfy) as worker:
        task = asyncio.create_task(worker.run(prompt, MemorySink()))
        await eventually(lambda: comfy.run_count(prompt.prompt_id))
    with pytest.raises(PromptReleasedError):
        await task
    async with working(comfy) as worker:
        await worker.resume(prompt, sink)
    assert prompt_id_of(sink.files[1]) == prompt.prompt_id


class Names(AbstractResolver):
    """Knows one name, which leads to this machine when it is asked for first, then elsewhere."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_INET
    ) -> list[ResolveResult]:
        """Return where the name leads now."""
        self.asked += 1
        if self.asked > 1:
            raise OSError("No worker may be at this address")
        place = ResolveResult(
            hostname=host, host="127.0.0.1", port=port, family=AF_INET, proto=0, flags=0
        )
        gone = ResolveResult(hostname=host, host="::1", port=1, family=AF_INET6, proto=0, flags=0)
        return [gone, place]

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_name_is_looked_up_once_for_a_connection(comfy: ComfyUIServer) -> None:
    """What was looked at is what is spoken to; nobody else knows the name."""
    names = Names()
    url = f"http://gpu.invalid:{urlsplit(comfy.url).port}"
    worker = WorkerSocket(url, QUICK_SOCKET, names)
    worker.start()
    try:
        assert await worker.ready(5.0)
        assert names.asked == 1
    finally:
        await worker.close()

"""The one socket to a worker: keeps itself open, reads without ever pausing, tells mailboxes.

A socket that stops reading stalls the server's only send loop, for everybody. So the reader does
nothing but sort messages into mailboxes, which never fill. It is a wake-up call, not a source of
truth: whoever waits for a prompt also polls.

Which name to come back with after a break decides between two evils. A server that still holds
the old socket forgets the *name* when that one closes, and the new socket is deaf for ever; with
a new name the messages of a running prompt are gone. So the name is kept only when the other side
is known to have closed, and is new after a missing pong, silence, or a failed close.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from generation_service.backends.comfyui.addresses import WorkerResolver, connect_to_worker
from generation_service.backends.comfyui.mailbox import Mailbox
from generation_service.backends.comfyui.messages import HELLO, PREVIEW, STATUS, TEXT, read_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp.abc import AbstractResolver
    from websockets.asyncio.client import ClientConnection

    from generation_service.backends.comfyui.messages import Message

log = structlog.get_logger()

_FRAMES_READ_AHEAD = 64
_HOPELESS_FAILURES = 3


@dataclass(frozen=True)
class SocketLimits:
    """What bounds a socket.

    Attributes:
        open_seconds: Until it stands and the first message has come.
        close_seconds: For the closing handshake.
        ping_seconds: Between pings; the server sends none.
        pong_seconds: Until a ping is answered.
        status_seconds: Until a posted prompt changes the queue; longer silence is deafness.
        first_pause_seconds: Before the first attempt to come back; doubles from there.
        longest_pause_seconds: Between attempts.
        max_frame_bytes: Of one message; results may come this way, and errors quote tensors.
    """

    open_seconds: float = 10.0
    close_seconds: float = 2.0
    ping_seconds: float = 15.0
    pong_seconds: float = 15.0
    status_seconds: float = 3.0
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 5.0
    max_frame_bytes: int = 64 * 1024 * 1024


class _Straight(connect):
    """Goes where it was told: a redirect could lead anywhere in the house's own network."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Let a redirect be a refusal like any other."""
        return exc


class WorkerSocket:
    """Keeps one socket to a worker open until it is closed."""

    def __init__(
        self,
        url: str,
        limits: SocketLimits | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """Prepare it; `start` opens it.

        Args:
            url: The worker's HTTP address.
            limits: Of every wait.
            resolver: Knows no address at which no worker may be; None: the system's names.
        """
        logging.getLogger("websockets").setLevel(logging.WARNING)
        self._url = url
        self._limits = limits or SocketLimits()
        self._resolver = resolver or WorkerResolver()
        self._client_id = uuid.uuid4().hex
        self._boxes: dict[str, Mailbox] = {}
        self._current = ""
        self._ready = asyncio.Event()
        self._patience: asyncio.Timeout | None = None
        self._stood = False
        self._status_count = 0
        self._break_count = 0
        self._failure_count = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def client_id(self) -> str:
        """The name to post under: of the open socket, or of the one that is being opened."""
        return self._client_id

    @property
    def is_open(self) -> bool:
        """Whether messages can come right now."""
        return self._ready.is_set()

    @property
    def break_count(self) -> int:
        """How often a socket that stood was lost."""
        return self._break_count

    @property
    def is_hopeless(self) -> bool:
        """Whether it could not be opened several times in a row: not worth waiting for."""
        return self._failure_count >= _HOPELESS_FAILURES

    @property
    def status_count(self) -> int:
        """How many changes of the queue were heard of."""
        return self._status_count

    def start(self) -> None:
        """Begin to keep it open."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep_open(), name="comfyui_socket")

    async def close(self) -> None:
        """Close it for good."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def ready(self, seconds: float) -> bool:
        """Wait until it is open; False: not within this time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ready.wait()
        return self._ready.is_set()

    @contextlib.contextmanager
    def watching(self, prompt_id: str) -> Iterator[Mailbox]:
        """Collect what is heard about a prompt; begin before it is posted."""
        box = self._boxes[prompt_id] = Mailbox()
        try:
            yield box
        finally:
            self._boxes.pop(prompt_id, None)

    @contextlib.contextmanager
    def listening(self, prompt_id: str) -> Iterator[Mailbox]:
        """Share the mailbox of a prompt that is watched, or watch it."""
        box = self._boxes.get(prompt_id)
        if box is not None:
            yield box
        else:
            with self.watching(prompt_id) as own:
                yield own

    def expect_status(self, since: int) -> None:
        """Say that a prompt was posted: without a change of the queue the socket is deaf.

        Args:
            since: `status_count` from before it was posted.
        """
        if self._patience is not None and self._status_count == since:
            loop = asyncio.get_running_loop()
            self._patience.reschedule(loop.time() + self._limits.status_seconds)

    async def _keep_open(self) -> None:
        pause = self._limits.first_pause_seconds
        while True:
            keep_name = False
            try:
                await self._live()
            except ConnectionClosed as exc:
                keep_name = exc.rcvd is not None or exc.sent is None
            except (OSError, WebSocketException) as exc:  # OSError: also TimeoutError
                log.debug("comfyui_socket_failed", error=type(exc).__name__)
            if self._after_break(keep_name=keep_name):
                pause = self._limits.first_pause_seconds
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(self._limits.longest_pause_seconds, pause * 2)

    def _after_break(self, *, keep_name: bool) -> bool:
        """Take note that there is no socket now; True: there was one."""
        stood, self._stood = self._stood, False
        self._current = ""
        if not keep_name:
            self._client_id = uuid.uuid4().hex
        self._failure_count = 0 if stood else self._failure_count + 1
        if stood:
            self._break_count += 1
            log.debug("comfyui_socket_lost", name_kept=keep_name)
        for box in self._boxes.values():
            box.wake()
        return stood

    async def _live(self) -> None:
        """Open a socket and read it until it breaks; it is closed before this returns."""
        limits = self._limits
        async with asyncio.timeout(limits.open_seconds):
            wire = await connect_to_worker(self._url, self._resolver)
        opening = _Straight(
            _socket_url(self._url, self._client_id),
            sock=wire,
            origin=None,
            compression=None,  # costs the server more than the network
            proxy=None,
            user_agent_header="stellwerk",
            open_timeout=limits.open_seconds,
            close_timeout=limits.close_seconds,
            ping_interval=limits.ping_seconds,
            ping_timeout=limits.pong_seconds,
            max_size=limits.max_frame_bytes,
            max_queue=_FRAMES_READ_AHEAD,
        )
        with contextlib.closing(wire):
            await self._talk(opening)

    async def _talk(self, opening: connect) -> None:
        limits = self._limits
        async with opening as connection:
            await connection.send(HELLO)
            try:
                async with asyncio.timeout(limits.open_seconds) as self._patience:
                    await self._read(connection)
            finally:  # closing takes its time, and nothing comes any more
                self._patience = None
                self._stood = self._ready.is_set()
                self._ready.clear()

    async def _read(self, connection: ClientConnection) -> None:
        while True:
            # Undecoded: broken UTF-8 in one message must not close the socket.
            frame = await connection.recv(decode=False)
            try:
                self._sort(frame)
            except Exception:  # the edge to a world that may send anything
                log.warning("comfyui_message_failed", byte_count=len(frame), exc_info=True)

    def _sort(self, frame: bytes) -> None:
        message = read_message(frame)
        if message is None:
            return
        if message.kind == STATUS:
            self._hear_status()
            return
        box = self._boxes.get(self._about(message))
        if box is not None:
            box.put(message)

    def _hear_status(self) -> None:
        self._status_count += 1
        if self._patience is not None:
            self._patience.reschedule(None)
        self._ready.set()
        self._failure_count = 0
        for box in self._boxes.values():
            box.put_queue_change()

    def _about(self, message: Message) -> str:
        """Which prompt a message is about; some frames belong to whichever runs."""
        if not message.prompt_id:
            return self._current if message.kind in (PREVIEW, TEXT) else ""
        self._current = "" if message.ends_run else message.prompt_id
        return message.prompt_id


def _socket_url(url: str, client_id: str) -> str:
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    path = f"{parts.path.rstrip('/')}/ws"
    return urlunsplit((scheme, parts.netloc, path, f"clientId={client_id}", ""))

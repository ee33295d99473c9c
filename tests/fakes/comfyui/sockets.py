"""Who gets which message: the sockets by client id, and the one loop that sends to them.

The faults of the real server are here by construction: a second socket of an id takes over, the
close of the first forgets the id, one socket that does not read holds up all the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.comfyui.switches import Switches

    Json = dict[str, Any]

PREVIEW_IMAGE, TEXT, PREVIEW_IMAGE_WITH_METADATA = 1, 3, 4
STALL_POLL_SECONDS = 0.005


@dataclass(eq=False)
class Socket:
    """One open socket."""

    socket: web.WebSocketResponse
    request: web.Request
    flags: Json = field(default_factory=dict)

    async def send(self, message: Json | bytes) -> None:
        """Send; a socket that is gone is no error."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            if isinstance(message, bytes):
                await self.socket.send_bytes(message)
            else:
                await self.socket.send_json(message)


class SocketHub:
    """The sockets, the messages that wait to be sent, and the loop that sends them."""

    def __init__(self, switches: Switches, status: Callable[[], Json]) -> None:
        """Make a hub without sockets.

        Args:
            switches: Of the stand-in.
            status: Returns `{"exec_info": …}`.
        """
        self._switches = switches
        self._status = status
        self._messages: asyncio.Queue[tuple[Json | bytes, Any]] = asyncio.Queue()
        self.by_id: dict[str, Socket] = {}
        self.open: set[Socket] = set()
        self.running_client: Any = None  # whose prompt ran last; stays after its end
        self.running_node: str | None = None
        self.frozen_until = 0.0

    def send(self, kind: str, data: Json, client: Any = None) -> None:
        """Queue a message for one client; None: for all sockets."""
        if kind in self._switches.drop_messages or "*" in self._switches.drop_messages:
            return
        message: Json = {"type": kind, "data": data}
        if self._switches.unknown_messages:
            self._messages.put_nowait(({"type": "crystools.monitor", "data": {"cpu": 1}}, client))
            message |= {"data": data | {"some_new_key": [1]}, "another": None}
        self._messages.put_nowait((message, client))
        if self._switches.duplicate_messages:
            self._messages.put_nowait((message, client))

    def send_status(self) -> None:
        """Tell all sockets how many prompts remain."""
        self.send("status", {"status": self._status()})

    def send_bytes(self, event: int, content: bytes, client: Any = None) -> None:
        """Queue a binary frame."""
        if "binary" not in self._switches.drop_messages:
            self._messages.put_nowait((event.to_bytes(4, "big") + content, client))

    def wants_metadata(self, client: Any) -> bool:
        """Say whether a client takes previews with metadata."""
        socket = self.by_id.get(client) if isinstance(client, str) else None
        return bool(socket and socket.flags.get("supports_preview_metadata"))

    async def publish(self) -> None:
        """Send what is queued, one after the other, for ever.

        Raises:
            TypeError: A client id cannot be looked up; the real process ends by it.
        """
        loop = asyncio.get_running_loop()
        while True:
            message, client = await self._messages.get()
            while self._switches.stall_sockets or loop.time() < self.frozen_until:  # noqa: ASYNC110
                await asyncio.sleep(STALL_POLL_SECONDS)
            if isinstance(message, dict):
                json.dumps(message)  # what is no JSON ends the process too
            if client is None:
                for socket in list(self.by_id.values()):
                    await socket.send(message)
            elif client in self.by_id:
                await self.by_id[client].send(message)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve `GET /ws` until the client leaves."""
        response = web.WebSocketResponse(compress=self._switches.compress)
        await response.prepare(request)
        client_id = request.query.get("clientId", "") or uuid.uuid4().hex
        socket = Socket(response, request)
        self.by_id[client_id] = socket
        self.open.add(socket)
        try:
            first = {"status": self._status(), "sid": client_id}
            await socket.send({"type": "status", "data": first})
            if self.running_client == client_id and self.running_node is not None:
                await socket.send({"type": "executing", "data": {"node": self.running_node}})
            await self._read(response, client_id)
        finally:
            self.open.discard(socket)
            if self._switches.forget_taken_over or self.by_id.get(client_id) is socket:
                self.by_id.pop(client_id, None)
        return response

    async def _read(self, response: web.WebSocketResponse, client_id: str) -> None:
        is_first = True
        async for message in response:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                content = json.loads(message.data)
                wants = is_first and content.get("type") == "feature_flags"
            except (ValueError, AttributeError):
                continue  # neither bad JSON nor a list counts as the first message
            is_first = False
            if wants and client_id in self.by_id:
                self.by_id[client_id].flags = content.get("data", {})
                answer = features(self._switches)
                await self.by_id[client_id].send({"type": "feature_flags", "data": answer})

    def cut(self) -> None:
        """Cut all connections without a farewell, as a killed process does."""
        for socket in list(self.open):
            if socket.request.transport is not None:
                socket.request.transport.abort()


def features(switches: Switches) -> Json:
    """Return `/features`."""
    return {"supports_preview_metadata": True, "max_upload_size": switches.max_upload_bytes}

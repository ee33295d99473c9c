"""What every HTTP call passes: recording, faults, the 500 text, Origin, the freeze."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import web

from tests.fakes.comfyui.switches import HttpFault

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Awaitable, Callable, Mapping

    from tests.fakes.comfyui.sockets import SocketHub
    from tests.fakes.comfyui.switches import Switches

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TROUBLE = "500 Internal Server Error\n\nServer got itself in trouble"
CORS_HEADERS = {
    "Access-Control-Allow-Methods": "POST, GET, DELETE, PUT, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
    "Access-Control-Allow-Credentials": "true",
}
JSON_KEY: web.RequestKey[Any] = web.RequestKey("json")
TROUBLE_KEY: web.RequestKey[Any] = web.RequestKey("trouble")
LARGEST_KEPT_BYTES = 64 * 1024  # of a request's body; bench runs make thousands of requests


@dataclass(frozen=True)
class Recorded:
    """One HTTP call.

    Attributes:
        method: GET, POST …
        path: Without /api, percent-decoded.
        query: Of the URL.
        headers: Of the request.
        json: Its body where that was read as JSON and is not large.
        status: Of the answer; None if it never came.
        trouble: The exception that became a 500; so that a bug of the stand-in can be told.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    json: Any
    status: int | None
    trouble: Exception | None


class Gate:
    """The one middleware of the stand-in."""

    def __init__(
        self,
        switches: Switches,
        next_answers: Mapping[str, deque[HttpFault | None]],
        requests: deque[Recorded],
        hub: SocketHub,
    ) -> None:
        """Make a gate.

        Args:
            switches: Of the stand-in.
            next_answers: Faults that happen once, by route name.
            requests: Where calls are recorded.
            hub: Knows how long the server is frozen.
        """
        self._switches = switches
        self._next_answers = next_answers
        self._requests = requests
        self._hub = hub
        self.transports: set[asyncio.Transport] = set()  # of calls that are not answered yet

    def middleware(self) -> Any:
        """Return the middleware for `web.Application`."""

        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._pass(request, handler)

        return gate

    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        transport = request.transport
        if transport is not None:
            self.transports.add(transport)
        if request.client_max_size != self._switches.max_upload_bytes:
            request = request.clone(client_max_size=self._switches.max_upload_bytes)
        status: int | None = None
        try:
            wait = self._hub.frozen_until - asyncio.get_running_loop().time()
            if wait > 0:
                await asyncio.sleep(wait)
            response = await self._with_fault(request, handler)
            status = response.status
            return response
        finally:
            if transport is not None:
                self.transports.discard(transport)
            self._record(request, status)

    def _record(self, request: web.Request, status: int | None) -> None:
        is_small = (request.content_length or 0) <= LARGEST_KEPT_BYTES
        path = request.path.removeprefix("/api")
        self._requests.append(
            Recorded(
                request.method,
                path,
                dict(request.query),
                dict(request.headers),
                request.get(JSON_KEY) if is_small else None,
                status,
                request.get(TROUBLE_KEY),
            )
        )

    async def _with_fault(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = self._fault(request)
        if fault is None:
            return await self._answer(request, handler)
        if fault is HttpFault.NONSENSE:
            return web.Response(text="<!doctype html><h1>It works!</h1>", content_type="text/html")
        if fault in (HttpFault.ERROR_AFTER, HttpFault.HANG_AFTER, HttpFault.CUT_AFTER):
            await self._answer(request, handler)
        if fault in (HttpFault.HANG, HttpFault.HANG_AFTER):
            await asyncio.Event().wait()  # until the client leaves or the server stops
        if fault in (HttpFault.CUT, HttpFault.CUT_AFTER) and request.transport is not None:
            request.transport.abort()
        return trouble()

    def _fault(self, request: web.Request) -> HttpFault | None:
        name = request.path.removeprefix("/api").split("/")[1]
        for key in (f"{request.method} {name}", name):
            if self._next_answers.get(key):
                return self._next_answers[key].popleft()
            if key in self._switches.http_faults:
                return self._switches.http_faults[key]
        return None

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = {}
        if self._switches.cors_origin is not None:
            headers = {"Access-Control-Allow-Origin": self._switches.cors_origin} | CORS_HEADERS
        elif is_foreign(request.headers.get("Host"), request.headers.get("Origin")):
            return web.Response(status=403)
        if request.method == "OPTIONS":
            return web.Response(headers=headers)
        response = await _handled(request, handler)
        if not response.prepared:
            response.headers.update(headers)
        return response


async def _handled(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer; what is unknown is a chunked 404, what goes wrong is the text of the real server."""
    try:
        limit, length = request.client_max_size, request.content_length or 0
        if length > limit:
            raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=length)
        return await handler(request)
    except web.HTTPException as exc:
        is_get = request.method in ("GET", "HEAD")
        if exc.status == 404 or (exc.status == 405 and is_get):  # a static handler owns "/"
            response = web.Response(status=404, content_type="application/octet-stream")
            response.enable_chunked_encoding()
            return response
        raise
    except Exception as exc:
        request[TROUBLE_KEY] = exc
        return trouble()


def trouble() -> web.Response:
    """Return the 500 that any exception in the real server is."""
    response = web.Response(status=500, text=TROUBLE)
    response.force_close()
    return response


def is_foreign(host: str | None, origin: str | None) -> bool:
    """Say whether a call is refused: a loopback Host, and an Origin of another host or port."""
    if not host or not origin:
        return False
    own, other = urlsplit(f"//{host}"), urlsplit(origin)
    if not _is_loopback(own.hostname) or not other.netloc:
        return False
    try:
        ports = (own.port, other.port)
    except ValueError:
        return False
    if ports[1] is None:  # an Origin without a port is compared without one
        return own.hostname != other.hostname
    return (own.hostname, ports[0]) != (other.hostname, ports[1])


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False

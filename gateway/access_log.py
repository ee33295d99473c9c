"""The one line that every request leaves, and the id that joins it to the services' lines.

Addresses hold ids at most, but a query may hold anything: the line names the pattern of the path.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from servicekit.context import CallContext, new_id, within_call

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

_QUIET = ("/healthz", "/readyz", "/metrics", "/static")
_FAILED = 500


def route_of(scope: Scope) -> str:
    """Return the pattern of the path, which never holds anything that a person wrote."""
    return str(getattr(scope.get("route"), "path", "")) or "none"


class AccessLog:
    """Gives each request its id, sends that back as `X-Request-ID`, and logs `request_finished`."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; what it asks of services goes under its id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = new_id()
        status = _FAILED

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        with within_call(CallContext(request_id=request_id)):
            try:
                await self._app(scope, receive, with_id)
            finally:
                write = log.debug if scope["path"].startswith(_QUIET) else log.info
                write(
                    "request_finished",
                    method=scope["method"],
                    route=route_of(scope),
                    status=status,
                    duration_ms=round((time.perf_counter() - started) * 1000, 3),
                )

"""The one line that every request leaves, and the id that joins it to the services' lines.

Addresses hold ids at most, but a query may hold anything: the line names the pattern of the path.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from gateway.metrics import HttpMetrics
from servicekit.context import (
    CallContext,
    bind_execution_id,
    current_call,
    is_execution_id,
    new_id,
    within_call,
)
from servicekit.spans import TRACEPARENT_KEY, Role, Span, Tracer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from servicekit.metrics import Meter

log = structlog.get_logger()

_QUIET = ("/healthz", "/readyz", "/metrics", "/static")
_FAILED = 500


def route_of(scope: Scope) -> str:
    """Return the pattern of the path, which never holds anything that a person wrote."""
    return str(getattr(scope.get("route"), "path", "")) or "none"


class AccessLog:
    """Gives each request its id, sends that back as `X-Request-ID`, logs and counts the request."""

    def __init__(self, app: ASGIApp, meter: Meter, tracer: Tracer) -> None:
        """Wrap an app.

        Args:
            app: The app.
            meter: Counts requests.
            tracer: Begins the trace of each, or goes on with its sender's.
        """
        self._app = app
        self._metrics = HttpMetrics(meter)
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; what it asks of services goes under its id."""
        if scope["type"] != "http" or scope["path"].startswith(_QUIET):
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

        self._metrics.began()
        with (
            self._span(scope) as span,
            within_call(CallContext(request_id=request_id, span=span)),
        ):
            try:
                await self._app(scope, receive, with_id)
            finally:
                self._finish(scope, status, time.perf_counter() - started)

    def _span(self, scope: Scope) -> AbstractContextManager[Span]:
        headers = dict(scope["headers"])
        parent = headers.get(TRACEPARENT_KEY.encode(), b"").decode("latin-1")
        return self._tracer.begin(f"HTTP {scope['method']}", Role.SERVER, parent=parent)

    def _finish(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = scope["method"], route_of(scope)
        about = str(scope.get("path_params", {}).get("execution_id", ""))
        if is_execution_id(about):
            bind_execution_id(about)
        self._metrics.ended(method, route, status, seconds)
        span = current_call().span
        span.note(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            }
        )
        if status >= _FAILED:
            span.fail(f"HTTP_{status}")
        log.info(
            "request_finished",
            method=method,
            route=route,
            status=status,
            duration_ms=round(seconds * 1000, 3),
        )

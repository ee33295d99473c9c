"""Serves a meter's numbers at `/metrics`, on an address of its own.

Apart from the API, because Prometheus speaks HTTP and has no credentials of ours: who may reach
that address is decided by the network. Requests have a limit in number and in time, so that whoever
asks a lot, or never finishes asking, costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST

from servicekit.settings import ConfigurationError, split_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

log = structlog.get_logger(__name__)

CONTENT_TYPE = CONTENT_TYPE_LATEST
REQUEST_SECONDS = 5.0
"""How long one request may take to arrive, and its answer to be read."""
REQUESTS_AT_ONCE = 8
"""More are hung up on."""
_POLL_SECONDS = 0.1


@contextlib.asynccontextmanager
async def exposing(text: Callable[[], bytes], address: str | None) -> AsyncIterator[str]:
    """Serve `/metrics` for as long as the context lasts.

    Args:
        text: Returns the numbers; called in a thread.
        address: `host:port`; port 0 lets the system choose. None: nothing is served.

    Yields:
        The address it got; empty when nothing is served.

    Raises:
        ConfigurationError: The port is taken.
    """
    if not address:
        yield ""
        return
    server = _bound(text, address)
    host = split_address(address)[0]
    bound = f"[{host}]:{server.server_port}" if ":" in host else f"{host}:{server.server_port}"
    thread = threading.Thread(
        target=server.serve_forever, args=(_POLL_SECONDS,), name="metrics", daemon=True
    )
    thread.start()
    log.info("metrics_served", address=bound)
    try:
        yield bound
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


def _bound(text: Callable[[], bytes], address: str) -> _Server:
    host, port = split_address(address)
    try:
        return _Server(text, host, port)
    except OSError as exc:
        raise ConfigurationError(
            f"Cannot serve metrics on {address}: the port is in use, or the address is not this "
            "machine's."
        ) from exc


class _Server(ThreadingHTTPServer):
    """Answers a few requests at once."""

    block_on_close = False

    def __init__(self, text: Callable[[], bytes], host: str, port: int) -> None:
        self.text = text
        self._places = threading.BoundedSemaphore(REQUESTS_AT_ONCE)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # As HTTPServer does, without looking up a name for the address, which may take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_port = int(self.server_address[1])

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self._places.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("metrics_request_failed")


class _Handler(BaseHTTPRequestHandler):
    """`/metrics`, and nothing else."""

    timeout = REQUEST_SECONDS
    server: _Server

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(HTTPStatus.NOT_FOUND, explain="Look at /metrics.")
            return
        body = self.server.text()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "Stellwerk"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: it is asked every few seconds, and its lines hold whole addresses."""

"""Serves the app over HTTP and stops it in an order that loses no request.

Streams of events last as long as a run, so a stop does not wait for them: they end, and browsers
take them up again at the next replica or after the restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import structlog
import uvicorn

from gateway.app import create_app
from servicekit.exposition import exposing
from servicekit.metrics import Meter
from servicekit.settings import ConfigurationError, exit_with_fault, split_address
from servicekit.spans import Tracer, open_tracer
from servicekit.vitals import tell_vitals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    from gateway.settings import GatewaySettings

log = structlog.get_logger()

START_SECONDS = 30.0
"""Nothing is waited for at the start but the port."""


class _Server(uvicorn.Server):
    """uvicorn's server; signals are ours to handle."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave them alone."""
        yield


@contextlib.asynccontextmanager
async def running(settings: GatewaySettings) -> AsyncIterator[str]:
    """Serve for as long as the context lasts.

    Yields:
        The address, `host:port`.

    Raises:
        ConfigurationError: The port is taken, or a file of the settings is faulty.
    """
    meter = Meter()
    tell_vitals(meter, settings)
    async with (
        open_tracer(settings.otlp_endpoint, settings.short_name) as tracer,
        exposing(meter.text, settings.metrics_address),
        _listening(settings, meter, tracer) as address,
    ):
        yield address


@contextlib.asynccontextmanager
async def _listening(settings: GatewaySettings, meter: Meter, tracer: Tracer) -> AsyncIterator[str]:
    host, port = split_address(settings.listen_address)
    try:
        app = create_app(settings, meter, tracer)
    except OSError as exc:
        raise ConfigurationError(f"{exc.filename}: {exc.strerror}.") from exc
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,  # its lines hold whole addresses
        server_header=False,
        timeout_graceful_shutdown=int(settings.grace_seconds) or 1,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    try:
        give_up = asyncio.get_running_loop().time() + START_SECONDS
        while not server.started:
            if task.done() or asyncio.get_running_loop().time() > give_up:
                raise ConfigurationError(f"Cannot listen on {settings.listen_address}.")
            await asyncio.sleep(0.01)
        bound = server.servers[0].sockets[0].getsockname()
        address = f"{host}:{bound[1]}"
        log.info("server_started", address=address)
        yield address
    finally:
        app.state.stopping.set()
        await asyncio.sleep(settings.drain_seconds)
        server.should_exit = True
        with contextlib.suppress(SystemExit):
            await task
    log.info("server_stopped")


async def serve(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SystemExit: What was configured does not work; code 78, the reason on stderr.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with running(settings):
            await stop.wait()
    except ConfigurationError as exc:
        exit_with_fault(str(exc))

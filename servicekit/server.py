"""The only bootstrap of a service: interceptors, health, reflection, drain, ordered stop.

The order of stopping is what loses no call: first say "not ready", give load balancers time to
look away, let running calls finish, and only then close what those calls were using.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import grpc
import structlog
from grpc_reflection.v1alpha import reflection

from servicekit.access import load_access_table
from servicekit.acts import ActInterceptor, audited_fields
from servicekit.audit import Act, AuditLog
from servicekit.authentication import Authenticator
from servicekit.channel import MAX_MESSAGE_BYTES
from servicekit.exposition import exposing
from servicekit.health import HEALTH_SERVICE, Readiness
from servicekit.interceptors import (
    AccessLogInterceptor,
    AuthenticationInterceptor,
    ContextInterceptor,
    ErrorInterceptor,
)
from servicekit.message_sizes import MAX_RECEIVED_BYTES, MessageSizeInterceptor
from servicekit.metrics import IN_ORDER, Meter
from servicekit.ports import open_ports
from servicekit.rate_interceptor import RateInterceptor
from servicekit.settings import ConfigurationError, exit_with_fault
from servicekit.spans import NoTracer, Tracer, open_tracer
from servicekit.vitals import tell_vitals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from servicekit.settings import ServiceSettings

log = structlog.get_logger(__name__)

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.so_reuseport", 0),  # else two servers share one port in silence
    ("grpc.max_receive_message_length", MAX_RECEIVED_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Our clients ping every 20 s to notice a frozen server; the default allows 5 minutes.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # A channel asks DNS again when a connection ends: else replicas that were added or replaced
    # get no calls. Nothing is cut off: calls and streams that run keep the old connection.
    ("grpc.max_connection_age_ms", 300_000),
)

ServiceNames: TypeAlias = Sequence[str]
"""Full names of the API services that were added, e.g. `stellwerk.tracker.v1.TrackerService`."""


class Owned(AsyncExitStack):
    """What a service opened: closed after the last call, last opened first.

    Attributes:
        meter: Counts what happens in the service.
        tracer: Begins spans that have no parent in this process.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        """Own nothing yet."""
        super().__init__()
        self.tracer = tracer or NoTracer()
        self.meter = Meter()
        self._in_order: dict[tuple[str, ...], float] = {}
        self.meter.read(IN_ORDER, self._in_order.copy)
        self.readiness: Readiness | None = None
        self._before_stop: list[Callable[[], Awaitable[None]]] = []
        self.audit = AuditLog("", None)

    def before_stop(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Have `callback` awaited after the drain and before running calls are waited for.

        For ending streams that would otherwise last for the whole grace time.
        """
        self._before_stop.append(callback)

    async def report(self, name: str, *, in_order: bool) -> None:
        """Let health checks see under a name of its own whether something is in order.

        For what is no reason to take the service out of traffic, such as a faulty change of its
        files while the state before stays in force.
        """
        if (name,) in self._in_order:  # not what is in force at the start
            outcome = "OK" if in_order else "FAULTY"
            await self.audit.note(Act("TakeUpFiles", "system", "", outcome, {"what": name}))
        self._in_order[(name,)] = float(in_order)
        if self.readiness is not None:
            await self.readiness.tell(name, in_order)

    async def run_before_stop(self) -> None:
        """Await the callbacks in their order; a failing one does not stop the others."""
        for callback in self._before_stop:
            try:
                await callback()
            except Exception:
                log.exception("before_stop_failed")


Register: TypeAlias = Callable[[grpc.aio.Server, Owned], Awaitable[ServiceNames]]
"""Adds the servicers of a service, and gives to `Owned` whatever must be closed again."""


@dataclass(frozen=True)
class RunningServer:
    """A server that takes calls.

    Attributes:
        address: `host:port` to open a channel to.
        callers_address: The same for callers without a certificate; empty: there is none.
        probe_address: The same for health checks without TLS; empty: there is none.
        metrics_address: `host:port` of `/metrics`; empty: not served.
    """

    address: str
    callers_address: str = ""
    probe_address: str = ""
    metrics_address: str = ""


@contextlib.asynccontextmanager
async def start_server(
    settings: ServiceSettings, register: Register
) -> AsyncIterator[RunningServer]:
    """Run a server for as long as the context lasts; the same one in tests and in production.

    Args:
        settings: Where to listen, whom to admit, how long to drain.
        register: Adds the servicers.

    Yields:
        The running server.

    Raises:
        ConfigurationError: The port is taken or the key file is faulty.
    """
    async with (
        open_tracer(settings.otlp_endpoint, settings.short_name) as tracer,
        Owned(tracer) as owned,
    ):
        owned.audit = AuditLog(settings.short_name, settings.audit_file)
        tell_vitals(owned.meter, settings)
        server = _build(settings, owned)
        owned.readiness = readiness = Readiness(server)
        try:
            metrics = await owned.enter_async_context(
                exposing(owned.meter.text, settings.metrics_address)
            )
            names = await register(server, owned)
            if settings.reflection:
                reflection.enable_server_reflection(
                    (*names, HEALTH_SERVICE, reflection.SERVICE_NAME), server
                )
            ports = open_ports(server, settings)
            await server.start()
            await readiness.set(True, names)
            log.info("server_started", address=ports.address, services=list(names))
            yield RunningServer(ports.address, ports.callers_address, ports.probe_address, metrics)
            await readiness.set(False, names)
            await asyncio.sleep(settings.drain_seconds)
        finally:
            await owned.run_before_stop()
            await server.stop(settings.grace_seconds)
    log.info("server_stopped")


async def serve(settings: ServiceSettings, register: Register) -> None:
    """Serve until SIGTERM or SIGINT, then stop in an order that loses no call.

    Args:
        settings: Where to listen, whom to admit, how long to drain.
        register: Adds the servicers.

    Raises:
        SystemExit: What was configured does not work; code 78, the reason on stderr.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with start_server(settings, register):
            await stop.wait()
            log.info("server_draining", drain_seconds=settings.drain_seconds)
    except ConfigurationError as exc:
        exit_with_fault(str(exc))


def _build(settings: ServiceSettings, owned: Owned) -> grpc.aio.Server:
    return grpc.aio.server(
        interceptors=[
            ContextInterceptor(owned.tracer),
            AccessLogInterceptor(owned.meter),
            AuthenticationInterceptor(Authenticator.from_settings(settings), load_access_table()),
            ErrorInterceptor(),
            RateInterceptor.from_settings(settings),
            MessageSizeInterceptor(),
            ActInterceptor(owned.audit, audited_fields()),
        ],
        options=SERVER_OPTIONS,
    )

"""Where the services are: one address is given, the others are asked for."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from servicekit.certificates import Certificates
from servicekit.channel import open_channel
from servicekit.settings import is_loopback, split_address
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.tracker.v1.export_service_pb2_grpc import ExportServiceStub
from stellwerk.tracker.v1.export_workflow_service_pb2_grpc import ExportWorkflowServiceStub
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from stellwerk_client.errors import ServerNotReachableError, StellwerkError, translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc

    from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceAsyncStub
    from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import (
        OrchestratorServiceAsyncStub,
    )
    from stellwerk.tracker.v1.export_service_pb2_grpc import ExportServiceAsyncStub
    from stellwerk.tracker.v1.export_workflow_service_pb2_grpc import (
        ExportWorkflowServiceAsyncStub,
    )
    from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceAsyncStub

TLS_CA_VARIABLE = "STELLWERK_TLS_CA"
_INFO_SECONDS = 5.0
"""A server that does not even say what it is within this time is not reachable."""


def seen_from_outside(address: str, server: str) -> str:
    """Return a neighbour's address as one can reach it from where `server` was reached.

    A server on another machine may name its neighbours by its own loopback address.

    Args:
        address: The neighbour, as the server names it.
        server: The server, as we reach it.
    """
    try:
        if not is_loopback(address) or is_loopback(server):
            return address
        host, port = split_address(server)[0], split_address(address)[1]
    except ValueError:  # a gRPC target such as dns:///tracker:50054
        return address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def trusted_authorities(tls_ca: Path | None) -> Certificates | None:
    """Return whom to trust when a client speaks TLS; None: it does not.

    Args:
        tls_ca: File of the authorities (PEM) that vouch for the server. None: the file that the
            variable `STELLWERK_TLS_CA` names, if it is set.

    Raises:
        ConfigurationError: The file is missing or faulty.
    """
    named = str(tls_ca) if tls_ca else os.environ.get(TLS_CA_VARIABLE, "")
    return Certificates(Path(named)) if named else None


class Connections:
    """The channels to one deployment, opened when they are needed."""

    def __init__(
        self,
        server: str,
        api_key: str | None,
        metadata: Sequence[tuple[str, str]],
        certificates: Certificates | None = None,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            server: The orchestrator, `host:port`.
            api_key: Shown on each call.
            metadata: Sent with each call.
            certificates: Speak TLS with these.
        """
        self._certificates = certificates
        self._server = server
        self._api_key = api_key
        self._metadata = metadata
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._addresses: tuple[str, str] | None = None
        self._asking = asyncio.Lock()

    def _channel(self, address: str) -> grpc.aio.Channel:
        if address not in self._channels:
            self._channels[address] = open_channel(
                address,
                api_key=self._api_key,
                metadata=self._metadata,
                certificates=self._certificates,
            )
        return self._channels[address]

    @property
    def orchestrator(self) -> OrchestratorServiceAsyncStub:
        """The orchestrator."""
        return OrchestratorServiceStub(self._channel(self._server))

    async def info(self) -> orchestrator_pb2.GetServerInfoResponse:
        """Ask the server what it is.

        Raises:
            StellwerkError: It refuses.
            ServerNotReachableError: It does not answer in time.
        """
        request = orchestrator_pb2.GetServerInfoRequest()
        try:
            with translated():
                return await self.orchestrator.GetServerInfo(request, timeout=_INFO_SECONDS)
        except StellwerkError as exc:
            if exc.code == "DEADLINE_EXCEEDED" and not exc.reason:
                raise ServerNotReachableError(exc.code, "", exc.message) from exc
            raise

    async def _neighbours(self) -> tuple[str, str]:
        async with self._asking:
            if self._addresses is None:
                info = await self.info()
                self._addresses = (
                    seen_from_outside(info.generation_address, self._server),
                    seen_from_outside(info.tracker_address, self._server),
                )
            return self._addresses

    async def generation(self) -> GenerationServiceAsyncStub:
        """The generation service."""
        address, _ = await self._neighbours()
        return GenerationServiceStub(self._channel(address))

    async def tracker(self) -> TrackerServiceAsyncStub:
        """The tracker."""
        _, address = await self._neighbours()
        return TrackerServiceStub(self._channel(address))

    async def export(self) -> ExportServiceAsyncStub:
        """The tracker's exports."""
        _, address = await self._neighbours()
        return ExportServiceStub(self._channel(address))

    async def export_workflows(self) -> ExportWorkflowServiceAsyncStub:
        """The tracker's export workflows."""
        _, address = await self._neighbours()
        return ExportWorkflowServiceStub(self._channel(address))

    async def close(self) -> None:
        """Close all channels."""
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            await channel.close()

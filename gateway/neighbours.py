"""The services behind the gateway: one channel each, opened once."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servicekit.channel import open_channel
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.tracker.v1.export_service_pb2_grpc import ExportServiceStub
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.settings import GatewaySettings
    from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceAsyncStub
    from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceAsyncStub
    from stellwerk.tracker.v1.export_service_pb2_grpc import ExportServiceAsyncStub
    from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceAsyncStub


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Stubs of the services; each call is made for the current principal."""

    orchestrator: OrchestratorServiceAsyncStub
    generation: GenerationServiceAsyncStub
    tracker: TrackerServiceAsyncStub
    export: ExportServiceAsyncStub


@asynccontextmanager
async def open_neighbours(settings: GatewaySettings) -> AsyncIterator[Neighbours]:
    """Open the channels for as long as the context lasts."""
    secret = settings.service_key
    key = secret.get_secret_value() if secret else None
    async with (
        open_channel(settings.orchestrator_address, service_key=key) as orchestrator,
        open_channel(settings.generation_address, service_key=key) as generation,
        open_channel(settings.tracker_address, service_key=key) as tracker,
    ):
        yield Neighbours(
            OrchestratorServiceStub(orchestrator),
            GenerationServiceStub(generation),
            TrackerServiceStub(tracker),
            ExportServiceStub(tracker),
        )

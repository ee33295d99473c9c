"""The services behind the gateway: one channel each, opened once."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servicekit.channel import open_neighbour
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
    async with (
        open_neighbour(settings, settings.orchestrator_address) as orchestrator,
        open_neighbour(settings, settings.generation_address) as generation,
        open_neighbour(settings, settings.tracker_address) as tracker,
    ):
        yield Neighbours(
            OrchestratorServiceStub(orchestrator),
            GenerationServiceStub(generation),
            TrackerServiceStub(tracker),
            ExportServiceStub(tracker),
        )

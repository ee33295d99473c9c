"""The services behind the gateway: one channel each, opened once.

Each call is checked against the rights of the person it is made for, in this one place, whatever a
route or a page forgets.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servicekit.channel import open_neighbour
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.tracker.v1.export_service_pb2_grpc import ExportServiceStub
from stellwerk.tracker.v1.export_workflow_service_pb2_grpc import ExportWorkflowServiceStub
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.rights import Rights
    from gateway.settings import GatewaySettings
    from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceAsyncStub
    from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceAsyncStub
    from stellwerk.tracker.v1.export_service_pb2_grpc import ExportServiceAsyncStub
    from stellwerk.tracker.v1.export_workflow_service_pb2_grpc import (
        ExportWorkflowServiceAsyncStub,
    )
    from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceAsyncStub


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Stubs of the services; each call is made for the current principal."""

    orchestrator: OrchestratorServiceAsyncStub
    generation: GenerationServiceAsyncStub
    tracker: TrackerServiceAsyncStub
    export: ExportServiceAsyncStub
    workflows: ExportWorkflowServiceAsyncStub


@asynccontextmanager
async def open_neighbours(settings: GatewaySettings, rights: Rights) -> AsyncIterator[Neighbours]:
    """Open the channels for as long as the context lasts."""
    check = rights.check
    async with (
        open_neighbour(settings, settings.orchestrator_address, check=check) as orchestrator,
        open_neighbour(settings, settings.generation_address, check=check) as generation,
        open_neighbour(settings, settings.tracker_address, check=check) as tracker,
    ):
        yield Neighbours(
            OrchestratorServiceStub(orchestrator),
            GenerationServiceStub(generation),
            TrackerServiceStub(tracker),
            ExportServiceStub(tracker),
            ExportWorkflowServiceStub(tracker),
        )

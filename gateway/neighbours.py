"""The services behind the gateway: one channel each, opened once.

To them the gateway is a service, which may call everything. So it is the gateway that holds its
user against the table of role and RPC, in one place, whatever a route or a page forgets.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from servicekit.access import load_access_table
from servicekit.channel import open_neighbour
from servicekit.errors import PermissionDeniedError
from servicekit.principals import principal_or_none
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.tracker.v1.export_service_pb2_grpc import ExportServiceStub
from stellwerk.tracker.v1.export_workflow_service_pb2_grpc import ExportWorkflowServiceStub
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.settings import GatewaySettings
    from servicekit.access import AccessTable
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
async def open_neighbours(settings: GatewaySettings) -> AsyncIterator[Neighbours]:
    """Open the channels for as long as the context lasts."""
    check = partial(refuse_foreign_rights, load_access_table())
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


def refuse_foreign_rights(table: AccessTable, method: str) -> None:
    """Refuse a call that the person for whom it is made may not make.

    Args:
        table: Who may call what.
        method: `/package.Service/Rpc`.

    Raises:
        PermissionDeniedError: RPC_NOT_ALLOWED.
    """
    principal = principal_or_none()
    if principal is not None and not table.allows(principal.role, method):
        raise PermissionDeniedError("RPC_NOT_ALLOWED", f"This is not for a {principal.role}.")

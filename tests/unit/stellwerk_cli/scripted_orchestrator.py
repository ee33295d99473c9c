"""An orchestrator that plays a script: the server that `run` and `watch` meet in tests."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc

from servicekit.errors import NotFoundError
from servicekit.server import start_server
from stellwerk.orchestrator.v1 import event_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.tracker.v1.execution_pb2 import ExecutionItem, ExecutionState
from stellwerk_client.client import StellwerkClient
from tests.fakes.partial import add_partial_service
from tests.support import local_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from servicekit.server import Owned

LOST = object()
"""In a script: the connection breaks here."""
SERVICE = pb2.DESCRIPTOR.services_by_name["OrchestratorService"]
RPCS = ("GetServerInfo", "RunExecution", "WatchExecution", "GetExecution")
EXECUTION_ID = "0197b5c0-0000-7000-8000-000000000001"


def item(number: int, item_type: str = "interception_final") -> event_pb2.ExecutionEvent:
    """Make the event of a recorded item."""
    recorded = ExecutionItem(item_id=f"item-{number}", item_type=item_type, content="A kite")
    return event_pb2.ExecutionEvent(
        execution_id=EXECUTION_ID,
        epoch=1,
        sequence_number=number,
        item_recorded=event_pb2.ItemRecorded(item=recorded),
    )


def state(state_now: ExecutionState.ValueType) -> event_pb2.ExecutionEvent:
    """Make the event of a change of state."""
    changed = event_pb2.StateChanged(state=state_now)
    return event_pb2.ExecutionEvent(execution_id=EXECUTION_ID, epoch=1, state_changed=changed)


def output(number: int) -> event_pb2.ExecutionEvent:
    """Make the event of an output that can be fetched."""
    ready = event_pb2.Output(loop_iteration=number, output_config="image", item_id="i")
    ready.media.sha256 = "0" * 64
    return event_pb2.ExecutionEvent(
        execution_id=EXECUTION_ID, epoch=1, output_ready=event_pb2.OutputReady(output=ready)
    )


@dataclass
class ScriptedOrchestrator:
    """Plays `run`, then one script of `watches` for each call of WatchExecution.

    Attributes:
        run: What RunExecution streams.
        watches: What WatchExecution streams, call by call.
        state: What GetExecution tells; None: nobody knows the execution.
        tokens: The tokens that WatchExecution was called with.
        address: Where it serves.
    """

    run: list[Any]
    watches: list[list[Any]] = field(default_factory=list)
    state: ExecutionState.ValueType | None = None
    tokens: list[tuple[int, int]] = field(default_factory=list)
    address: str = ""

    async def GetServerInfo(
        self, request: pb2.GetServerInfoRequest, context: Any
    ) -> pb2.GetServerInfoResponse:
        """Name itself as every neighbour."""
        return pb2.GetServerInfoResponse(
            generation_address=self.address, tracker_address=self.address
        )

    async def RunExecution(
        self, request: pb2.RunExecutionRequest, context: Any
    ) -> AsyncIterator[pb2.RunExecutionResponse]:
        """Play the script."""
        for event in self.run:
            if event is LOST:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            yield pb2.RunExecutionResponse(event=event)

    async def WatchExecution(
        self, request: pb2.WatchExecutionRequest, context: Any
    ) -> AsyncIterator[pb2.WatchExecutionResponse]:
        """Play the next script."""
        self.tokens.append((request.after_epoch, request.after_sequence))
        for event in self.watches.pop(0):
            if event is LOST:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            yield pb2.WatchExecutionResponse(event=event)

    async def GetExecution(
        self, request: pb2.GetExecutionRequest, context: Any
    ) -> pb2.GetExecutionResponse:
        """Tell the state."""
        if self.state is None:
            raise NotFoundError("EXECUTION_NOT_FOUND", "There is none.")
        execution = event_pb2.Execution(execution_id=EXECUTION_ID, state=self.state)
        return pb2.GetExecutionResponse(execution=execution)


@contextlib.asynccontextmanager
async def playing(script: ScriptedOrchestrator) -> AsyncIterator[StellwerkClient]:
    """Serve a script and yield a client of it."""

    async def register(server: grpc.aio.Server, _owned: Owned) -> tuple[str, ...]:
        rpcs = {name: getattr(script, name) for name in RPCS}
        return (add_partial_service(server, SERVICE, rpcs),)

    async with (
        start_server(local_settings(), register) as server,
        StellwerkClient(server.address) as client,
    ):
        script.address = server.address
        yield client

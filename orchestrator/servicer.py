"""The orchestrator's RPCs: from protobuf to the domain and back, a few lines each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.converters import executions as convert
from orchestrator.events import TextWritten
from orchestrator.past import past_events, past_execution
from orchestrator.requests import cancels_on_disconnect, run_request
from servicekit.principals import current_principal
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceServicer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from orchestrator.catalogue import Catalogue
    from orchestrator.clients import TrackerClient
    from orchestrator.execution import Execution
    from orchestrator.intake import Intake
    from orchestrator.registry import Executions
    from servicekit.principals import Principal
    from stellwerk.orchestrator.v1 import event_pb2


@dataclass(frozen=True, slots=True)
class OrchestratorServicer(OrchestratorServiceServicer):
    """Serves OrchestratorService; see the contract for errors and their reasons."""

    intake: Intake
    executions: Executions
    catalogue: Catalogue
    tracker: TrackerClient
    server_info: Callable[[Principal], pb2.GetServerInfoResponse]

    async def GetServerInfo(
        self, request: pb2.GetServerInfoRequest, context: Any
    ) -> pb2.GetServerInfoResponse:
        """Tell what this deployment is."""
        return self.server_info(current_principal())

    async def RunExecution(
        self, request: pb2.RunExecutionRequest, context: Any
    ) -> AsyncIterator[pb2.RunExecutionResponse]:
        """Run all stages and stream what happens."""
        begun = await self.intake.begin(run_request(request), current_principal())
        if isinstance(begun, str):
            async for event in past_events(self.tracker, begun, (0, 0)):
                yield pb2.RunExecutionResponse(event=event)
            return
        try:
            async for event in _live_events(begun, 0, not request.without_text_deltas):
                yield pb2.RunExecutionResponse(event=event)
        except (asyncio.CancelledError, GeneratorExit):
            # At a drain it is the server that leaves, not the caller.
            if cancels_on_disconnect(request) and not self.executions.draining:
                begun.cancel()
            raise

    async def GetExecution(
        self, request: pb2.GetExecutionRequest, context: Any
    ) -> pb2.GetExecutionResponse:
        """Return where an execution stands."""
        found = self.executions.find(request.execution_id, current_principal())
        if found is None:
            past = await past_execution(self.tracker, request.execution_id)
            return pb2.GetExecutionResponse(execution=past)
        return pb2.GetExecutionResponse(execution=convert.execution_to_proto(found))

    async def WatchExecution(
        self, request: pb2.WatchExecutionRequest, context: Any
    ) -> AsyncIterator[pb2.WatchExecutionResponse]:
        """Stream what happened after a token, then what happens."""
        found = self.executions.find(request.execution_id, current_principal())
        if found is None:
            after = request.after_epoch, request.after_sequence
            async for event in past_events(self.tracker, request.execution_id, after):
                yield pb2.WatchExecutionResponse(event=event)
            return
        yield pb2.WatchExecutionResponse(event=convert.snapshot_to_proto(found))
        same_epoch = request.after_epoch in (0, found.journal.epoch)
        async for event in _live_events(found, request.after_sequence if same_epoch else 0, True):
            yield pb2.WatchExecutionResponse(event=event)

    async def CancelExecution(
        self, request: pb2.CancelExecutionRequest, context: Any
    ) -> pb2.CancelExecutionResponse:
        """End an execution and everything done for it."""
        found = self.executions.find(request.execution_id, current_principal())
        if found is None:
            past = await past_execution(self.tracker, request.execution_id)
            return pb2.CancelExecutionResponse(execution=past)
        found.cancel()
        await found.wait()
        return pb2.CancelExecutionResponse(execution=convert.execution_to_proto(found))

    async def ListConfigs(
        self, request: pb2.ListConfigsRequest, context: Any
    ) -> pb2.ListConfigsResponse:
        """List what can be chosen."""
        return self.catalogue.page(request)

    async def GetConfig(self, request: pb2.GetConfigRequest, context: Any) -> pb2.GetConfigResponse:
        """Return one config."""
        return self.catalogue.config(request)


async def _live_events(
    execution: Execution, after_sequence: int, with_text: bool
) -> AsyncIterator[event_pb2.ExecutionEvent]:
    async for logged in execution.events.watch(after_sequence):
        if with_text or not isinstance(logged.event, TextWritten):
            yield convert.event_to_proto(execution, logged)

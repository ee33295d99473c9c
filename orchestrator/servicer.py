"""The orchestrator's RPCs: from protobuf to the domain and back, a few lines each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.audience import as_learner
from orchestrator.converters import executions as convert
from orchestrator.events import StateChanged, TextWritten
from orchestrator.model import ExecutionState, Mode
from orchestrator.past import past_events, past_execution
from orchestrator.requests import (
    cancels_on_disconnect,
    regeneration,
    run_request,
    step_request,
)
from orchestrator.steps import StepKind
from servicekit.errors import FailedPreconditionError
from servicekit.principals import current_principal
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceServicer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from orchestrator.catalogue import Catalogue
    from orchestrator.events import Logged
    from orchestrator.execution import Execution
    from orchestrator.intake import Intake
    from orchestrator.registry import Executions
    from orchestrator.revival import Revival
    from orchestrator.tracker_client import TrackerClient
    from servicekit.principals import Principal
    from stellwerk.orchestrator.v1 import event_pb2


@dataclass(frozen=True, slots=True)
class OrchestratorServicer(OrchestratorServiceServicer):
    """Serves OrchestratorService; see the contract for errors and their reasons."""

    intake: Intake
    revival: Revival
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
        async for event in self._begun(begun, request, to_the_end=True):
            yield pb2.RunExecutionResponse(event=event)

    async def StartExecution(
        self, request: pb2.StartExecutionRequest, context: Any
    ) -> AsyncIterator[pb2.StartExecutionResponse]:
        """Run stage 1 and stream what happens until the person's turn."""
        wish = request.execution
        begun = await self.intake.begin(run_request(wish, Mode.STEPS), current_principal())
        async for event in self._begun(begun, wish, to_the_end=False):
            yield pb2.StartExecutionResponse(event=event)

    async def Intercept(
        self, request: pb2.InterceptRequest, context: Any
    ) -> AsyncIterator[pb2.InterceptResponse]:
        """Run phase 1."""
        async for event in self._step(StepKind.INTERCEPT, request):
            yield pb2.InterceptResponse(event=event)

    async def Optimize(
        self, request: pb2.OptimizeRequest, context: Any
    ) -> AsyncIterator[pb2.OptimizeResponse]:
        """Run phase 2."""
        async for event in self._step(StepKind.OPTIMIZE, request):
            yield pb2.OptimizeResponse(event=event)

    async def Render(
        self, request: pb2.RenderRequest, context: Any
    ) -> AsyncIterator[pb2.RenderResponse]:
        """Run stages 3 and 4."""
        async for event in self._step(StepKind.RENDER, request):
            yield pb2.RenderResponse(event=event)

    async def ResumeExecution(
        self, request: pb2.ResumeExecutionRequest, context: Any
    ) -> AsyncIterator[pb2.ResumeExecutionResponse]:
        """Go on with an interrupted execution."""
        resumed = await self.revival.resume(request.execution_id, current_principal())
        async for event in _live_events(resumed, resumed.events.watch(), True):
            yield pb2.ResumeExecutionResponse(event=event)

    async def RegenerateOutput(
        self, request: pb2.RegenerateOutputRequest, context: Any
    ) -> AsyncIterator[pb2.RegenerateOutputResponse]:
        """Make an output once more."""
        cancels = cancels_on_disconnect(request)
        wish = regeneration(request)
        made = await self.revival.regenerate(wish, current_principal())
        events = _live_events(made, made.events.watch(), True)
        async for event in self._with_caller(made, events, cancels=cancels):
            yield pb2.RegenerateOutputResponse(event=event)

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
        watching = found.events.watch(request.after_sequence if same_epoch else 0)
        async for event in _live_events(found, watching, True):
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
        return self.catalogue.page(request, as_learner(current_principal()))

    async def GetConfig(self, request: pb2.GetConfigRequest, context: Any) -> pb2.GetConfigResponse:
        """Return one config."""
        return self.catalogue.config(request, as_learner(current_principal()))

    async def _begun(
        self, begun: Execution | str, request: pb2.RunExecutionRequest, *, to_the_end: bool
    ) -> AsyncIterator[event_pb2.ExecutionEvent]:
        """Stream what happens in an execution that a request has started or found."""
        if isinstance(begun, str):
            async for event in past_events(self.tracker, begun, (0, 0)):
                yield event
            return
        watching = begun.events.watch()
        events = _live_events(
            begun, watching, not request.without_text_deltas, to_the_end=to_the_end
        )
        cancels = cancels_on_disconnect(request)
        async for event in self._with_caller(begun, events, cancels=cancels):
            yield event

    async def _with_caller(
        self,
        execution: Execution,
        events: AsyncIterator[event_pb2.ExecutionEvent],
        *,
        cancels: bool,
    ) -> AsyncIterator[event_pb2.ExecutionEvent]:
        """Stream events; a caller who leaves may end the execution."""
        try:
            async for event in events:
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            # At a drain it is the server that leaves, not the caller.
            if cancels and not self.executions.draining:
                execution.cancel()
            raise

    async def _step(
        self,
        kind: StepKind,
        request: pb2.InterceptRequest | pb2.OptimizeRequest | pb2.RenderRequest,
    ) -> AsyncIterator[event_pb2.ExecutionEvent]:
        """Do a person's step and stream what happens until it is the person's turn again."""
        found = self.executions.find(request.execution_id, current_principal())
        if found is None:
            await past_execution(self.tracker, request.execution_id)
            raise FailedPreconditionError(
                "NOT_RUNNING", "Nobody runs this execution at present; resume it first."
            )
        position = found.take_step(step_request(kind, request))
        watching = found.events.watch_from(position)
        with_text = not request.without_text_deltas
        async for event in _live_events(found, watching, with_text, to_the_end=False):
            yield event


async def _live_events(
    execution: Execution,
    watching: AsyncIterator[Logged],
    with_text: bool,
    *,
    to_the_end: bool = True,
) -> AsyncIterator[event_pb2.ExecutionEvent]:
    """Yield events for the wire, to the end or until it is the person's turn."""
    async for logged in watching:
        event = logged.event
        if with_text or not isinstance(event, TextWritten):
            yield convert.event_to_proto(execution, logged)
        waits = isinstance(event, StateChanged) and event.state is ExecutionState.AWAITING_EDIT
        if waits and not to_the_end:
            return

"""The orchestrator's RPCs: from protobuf to the domain and back, a few lines each."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from orchestrator.audience import as_learner, knows_names
from orchestrator.converters import executions as convert
from orchestrator.events import StateChanged, TextWritten
from orchestrator.model import ExecutionState, Mode
from orchestrator.past import past_events, past_execution
from orchestrator.replicas import OwnerUnavailableError, Replica, is_passed_on
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
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from typing import Any

    from orchestrator.catalogue import Catalogue
    from orchestrator.execution import Execution
    from orchestrator.intake import Intake
    from orchestrator.past import Token
    from orchestrator.revival import Revival
    from orchestrator.tracker_client import TrackerClient
    from orchestrator.whereabouts import Whereabouts
    from servicekit.principals import Principal
    from stellwerk.orchestrator.v1 import event_pb2

    Batch = list[event_pb2.ExecutionEvent]

log = structlog.get_logger(__name__)

MAX_BATCH = 64
"""Most events in one response."""


@dataclass(frozen=True, slots=True)
class OrchestratorServicer(OrchestratorServiceServicer):
    """Serves OrchestratorService; see the contract for errors and their reasons."""

    intake: Intake
    revival: Revival
    where: Whereabouts
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
        at_once = MAX_BATCH if request.batch_events else 1
        told = (
            self._elsewhere(begun, "RunExecution", request, context)
            if isinstance(begun, str)
            else self._begun(begun, request, at_once)
        )
        async with aclosing(told) as batches:
            async for first, *more in batches:
                yield pb2.RunExecutionResponse(event=first, more_events=more)

    async def StartExecution(
        self, request: pb2.StartExecutionRequest, context: Any
    ) -> AsyncIterator[pb2.StartExecutionResponse]:
        """Run stage 1 and stream what happens until the person's turn."""
        wish = request.execution
        begun = await self.intake.begin(run_request(wish, Mode.STEPS), current_principal())
        told = (
            self._elsewhere(begun, "StartExecution", request, context)
            if isinstance(begun, str)
            else self._begun(begun, wish, to_the_end=False)
        )
        async with aclosing(told) as batches:
            async for (event,) in batches:
                yield pb2.StartExecutionResponse(event=event)

    async def Intercept(
        self, request: pb2.InterceptRequest, context: Any
    ) -> AsyncIterator[pb2.InterceptResponse]:
        """Run phase 1."""
        async with aclosing(self._step(StepKind.INTERCEPT, request, context)) as events:
            async for event in events:
                yield pb2.InterceptResponse(event=event)

    async def Optimize(
        self, request: pb2.OptimizeRequest, context: Any
    ) -> AsyncIterator[pb2.OptimizeResponse]:
        """Run phase 2."""
        async with aclosing(self._step(StepKind.OPTIMIZE, request, context)) as events:
            async for event in events:
                yield pb2.OptimizeResponse(event=event)

    async def Render(
        self, request: pb2.RenderRequest, context: Any
    ) -> AsyncIterator[pb2.RenderResponse]:
        """Run stages 3 and 4."""
        async with aclosing(self._step(StepKind.RENDER, request, context)) as events:
            async for event in events:
                yield pb2.RenderResponse(event=event)

    async def ResumeExecution(
        self, request: pb2.ResumeExecutionRequest, context: Any
    ) -> AsyncIterator[pb2.ResumeExecutionResponse]:
        """Go on with an interrupted execution."""
        passed_on = is_passed_on(context)
        resumed = await self.where.for_resuming(request.execution_id, passed_on=passed_on)
        if isinstance(resumed, Replica):
            async with aclosing(resumed.stream("ResumeExecution", request)) as responses:
                async for response in responses:
                    yield response
            return
        async with aclosing(_live(resumed)) as batches:
            async for (event,) in batches:
                yield pb2.ResumeExecutionResponse(event=event)

    async def RegenerateOutput(
        self, request: pb2.RegenerateOutputRequest, context: Any
    ) -> AsyncIterator[pb2.RegenerateOutputResponse]:
        """Make an output once more."""
        cancels = cancels_on_disconnect(request)
        wish = regeneration(request)
        made = await self.revival.regenerate(wish, current_principal())
        with self._caller(made, cancels=cancels):
            async with aclosing(_live(made)) as batches:
                async for (event,) in batches:
                    yield pb2.RegenerateOutputResponse(event=event)

    async def GetExecution(
        self, request: pb2.GetExecutionRequest, context: Any
    ) -> pb2.GetExecutionResponse:
        """Return where an execution stands."""
        found = self.where.here(request.execution_id)
        if found is not None:
            return pb2.GetExecutionResponse(execution=convert.execution_to_proto(found))
        passed_on = is_passed_on(context)
        owner = await self.where.elsewhere(request.execution_id, passed_on=passed_on)
        if owner is not None:
            with suppress(OwnerUnavailableError):
                response: pb2.GetExecutionResponse = await owner.ask("GetExecution", request)
                return response
        past = await past_execution(self.tracker, request.execution_id)
        return pb2.GetExecutionResponse(execution=past)

    async def WatchExecution(
        self, request: pb2.WatchExecutionRequest, context: Any
    ) -> AsyncIterator[pb2.WatchExecutionResponse]:
        """Stream what happened after a token, then what happens."""
        found = self.where.here(request.execution_id)
        if found is None:
            after = request.after_epoch, request.after_sequence
            elsewhere = self._elsewhere(
                request.execution_id, "WatchExecution", request, context, after
            )
            async with aclosing(elsewhere) as batches:
                async for first, *more in batches:
                    yield pb2.WatchExecutionResponse(event=first, more_events=more)
            return
        yield pb2.WatchExecutionResponse(event=convert.snapshot_to_proto(found))
        same_epoch = request.after_epoch in (0, found.journal.epoch)
        position = found.events.position_after(request.after_sequence if same_epoch else 0)
        at_once = MAX_BATCH if request.batch_events else 1
        async with aclosing(_live(found, position, at_once)) as batches:
            async for first, *more in batches:
                yield pb2.WatchExecutionResponse(event=first, more_events=more)

    async def CancelExecution(
        self, request: pb2.CancelExecutionRequest, context: Any
    ) -> pb2.CancelExecutionResponse:
        """End an execution and everything done for it."""
        execution_id = request.execution_id
        try:
            found = self.where.here(execution_id) or await self.where.for_cancelling(
                execution_id, passed_on=is_passed_on(context)
            )
        except FailedPreconditionError:  # it has ended, or too little of it is left to end it
            past = await past_execution(self.tracker, execution_id)
            return pb2.CancelExecutionResponse(execution=past)
        if isinstance(found, Replica):
            response: pb2.CancelExecutionResponse = await found.ask("CancelExecution", request)
            return response
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
        self,
        begun: Execution,
        request: pb2.RunExecutionRequest,
        at_once: int = 1,
        *,
        to_the_end: bool = True,
    ) -> AsyncGenerator[Batch, None]:
        """Stream what happens in an execution that a request has started or found."""
        with_text = not request.without_text_deltas
        with self._caller(begun, cancels=cancels_on_disconnect(request)):
            live = _live(begun, 0, at_once, with_text=with_text, to_the_end=to_the_end)
            async with aclosing(live) as batches:
                async for batch in batches:
                    yield batch

    async def _elsewhere(
        self, execution_id: str, rpc: str, request: Any, context: Any, after: Token = (0, 0)
    ) -> AsyncGenerator[Batch, None]:
        """Stream what happens after a token in an execution that is not here.

        Its owner tells it live; the record goes on where the owner breaks off.
        """
        owner = await self.where.elsewhere(execution_id, passed_on=is_passed_on(context))
        if owner is not None:
            try:
                async with aclosing(owner.stream(rpc, request)) as responses:
                    async for response in responses:
                        batch = [response.event, *getattr(response, "more_events", ())]
                        after = _last_token(batch, after)
                        yield batch
                return
            except OwnerUnavailableError:
                log.warning("owner_lost", lost_execution_id=execution_id)
        async with aclosing(past_events(self.tracker, execution_id, after)) as events:
            async for event in events:
                yield [event]

    @contextmanager
    def _caller(self, execution: Execution, *, cancels: bool) -> Iterator[None]:
        """Serve a caller; one who leaves may end the execution."""
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            # At a drain it is the server that leaves, not the caller.
            if cancels and not self.where.executions.draining:
                execution.cancel()
            raise

    async def _step(
        self,
        kind: StepKind,
        request: pb2.InterceptRequest | pb2.OptimizeRequest | pb2.RenderRequest,
        context: Any,
    ) -> AsyncGenerator[event_pb2.ExecutionEvent, None]:
        """Do a person's step and stream what happens until it is the person's turn again."""
        found = self.where.here(request.execution_id) or await self.where.for_step(
            request.execution_id, passed_on=is_passed_on(context)
        )
        if isinstance(found, Replica):
            async with aclosing(found.stream(kind.rpc, request)) as responses:
                async for response in responses:
                    yield response.event
            return
        position = found.take_step(step_request(kind, request))
        with_text = not request.without_text_deltas
        live = _live(found, position, with_text=with_text, to_the_end=False)
        async with aclosing(live) as batches:
            async for (event,) in batches:
                yield event


async def _live(
    execution: Execution,
    position: int = 0,
    at_once: int = 1,
    *,
    with_text: bool = True,
    to_the_end: bool = True,
) -> AsyncGenerator[Batch, None]:
    """Yield events for the wire, to the end or until it is the person's turn."""
    with_names = knows_names(current_principal(), execution.owner)
    async with aclosing(execution.events.batches(position, at_once)) as batches:
        async for batch in batches:
            shown = [
                convert.event_to_proto(execution, logged, with_names=with_names)
                for logged in batch
                if with_text or not isinstance(logged.event, TextWritten)
            ]
            if shown:
                yield shown
            if not to_the_end and any(_is_persons_turn(logged.event) for logged in batch):
                return


def _last_token(batch: Batch, before: Token) -> Token:
    """Return after which item a client can go on that has seen a batch."""
    for event in reversed(batch):
        if event.HasField("item_recorded"):
            return event.epoch, event.sequence_number
    return before


def _is_persons_turn(event: object) -> bool:
    return isinstance(event, StateChanged) and event.state is ExecutionState.AWAITING_EDIT

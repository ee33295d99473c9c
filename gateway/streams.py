"""Events as server-sent events, which browsers take up again by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, TypeVar

from sse_starlette import EventSourceResponse, ServerSentEvent

from servicekit.channel import ending
from servicekit.plain import plain_event, plain_message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
    from typing import Any

    from gateway.neighbours import Neighbours
    from stellwerk.orchestrator.v1.event_pb2 import ExecutionEvent

from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb
from stellwerk.tracker.v1 import export_workflow_service_pb2 as workflow_pb

T = TypeVar("T")

_EPHEMERAL = frozenset({"text_delta", "queue_updated", "progress_made", "snapshot"})
_LAST = "done"
WORKFLOW_SECONDS = 600.0
"""The tracker ends a stream without news before that."""


def token_of(last_event_id: str | None) -> tuple[int, int]:
    """Read the id of the last event that a browser saw; (0, 0) for none or nonsense."""
    epoch, _, number = (last_event_id or "").partition("-")
    if epoch.isascii() and number.isascii() and epoch.isdigit() and number.isdigit():
        return min(int(epoch), 2**31 - 1), min(int(number), 2**63 - 1)
    return 0, 0


async def live_events(
    neighbours: Neighbours,
    execution_id: str,
    after: tuple[int, int],
    limit_seconds: float,
    stopping: asyncio.Event,
) -> AsyncGenerator[dict[str, str]]:
    """Yield events for `EventSourceResponse`; the last one is named `done`.

    When the gateway stops, the stream ends without it, and the browser comes again.

    Args:
        neighbours: The services.
        execution_id: The execution.
        after: Epoch and sequence number to go on after.
        limit_seconds: Longest stream.
        stopping: Set when the gateway stops.

    Raises:
        grpc.aio.AioRpcError: The orchestrator refuses, or is gone.
    """
    request = pb.WatchExecutionRequest(
        execution_id=execution_id, after_epoch=after[0], after_sequence=after[1]
    )
    call = neighbours.orchestrator.WatchExecution(request, timeout=limit_seconds)
    with ending(call):
        responses = aiter(call)
        while not stopping.is_set():
            response = await _unless(stopping, _next(responses))
            if response is None:
                break
            yield _sent(response.event)
    if not stopping.is_set():
        yield {"event": _LAST, "data": "{}"}


async def live_workflow(
    neighbours: Neighbours, workflow_id: str, known: int, stopping: asyncio.Event
) -> AsyncGenerator[dict[str, str]]:
    """Yield what becomes of an export workflow; `deliverable_ready` when a document is there.

    Args:
        neighbours: The services.
        workflow_id: The workflow.
        known: Number of documents that are no news.
        stopping: Set when the gateway stops.

    Raises:
        grpc.aio.AioRpcError: The tracker refuses, or is gone.
    """
    request = workflow_pb.WatchExportWorkflowRequest(
        export_workflow_id=workflow_id, after_deliverable=known
    )
    call = neighbours.workflows.WatchExportWorkflow(request, timeout=WORKFLOW_SECONDS)
    with ending(call):
        responses = aiter(call)
        while not stopping.is_set():
            response = await _unless(stopping, _next(responses))
            if response is None:
                break
            name = "deliverable_ready" if response.deliverable_ready else "workflow"
            text = json.dumps(plain_message(response), ensure_ascii=False)
            yield {"event": name, "data": text}


async def streaming(
    events: AsyncGenerator[dict[str, str]], heartbeat_seconds: float
) -> EventSourceResponse:
    """Answer with events, once the first has come: afterwards it is too late for a problem."""
    first = await anext(events, None)

    async def all_of_them() -> AsyncIterator[dict[str, str]]:
        if first is not None:
            yield first
        async for event in events:
            yield event

    return EventSourceResponse(
        all_of_them(),
        ping=int(heartbeat_seconds) or 1,
        ping_message_factory=lambda: ServerSentEvent(event="heartbeat", data="{}"),
    )


async def _next(responses: AsyncIterator[Any]) -> Any:
    return await anext(responses, None)


async def _unless(stopping: asyncio.Event, wanted: Coroutine[Any, Any, T]) -> T | None:
    """Return what is wanted; None once `stopping` is set."""
    stopped = asyncio.create_task(stopping.wait())
    found = asyncio.create_task(wanted)
    try:
        await asyncio.wait({stopped, found}, return_when=asyncio.FIRST_COMPLETED)
        return await found if found.done() else None
    finally:
        for task in (stopped, found):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await task


def _sent(event: ExecutionEvent) -> dict[str, str]:
    plain = plain_event(event)
    sent = {"event": plain["event"], "data": json.dumps(plain, ensure_ascii=False)}
    if plain["event"] not in _EPHEMERAL:
        sent["id"] = f"{event.epoch}-{event.sequence_number}"
    return sent

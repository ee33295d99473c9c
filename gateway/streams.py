"""Events of an execution as server-sent events, which browsers take up again by themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from servicekit.channel import ending
from servicekit.plain import plain_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.neighbours import Neighbours
    from stellwerk.orchestrator.v1.event_pb2 import ExecutionEvent

from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb

_EPHEMERAL = frozenset({"text_delta", "queue_updated", "progress_made", "snapshot"})
_LAST = "done"


def token_of(last_event_id: str | None) -> tuple[int, int]:
    """Read the id of the last event that a browser saw; (0, 0) for none or nonsense."""
    epoch, _, number = (last_event_id or "").partition("-")
    if epoch.isascii() and number.isascii() and epoch.isdigit() and number.isdigit():
        return min(int(epoch), 2**31 - 1), min(int(number), 2**63 - 1)
    return 0, 0


async def live_events(
    neighbours: Neighbours, execution_id: str, after: tuple[int, int], limit_seconds: float
) -> AsyncIterator[dict[str, str]]:
    """Yield events for `EventSourceResponse`; the last one is named `done`.

    Args:
        neighbours: The services.
        execution_id: The execution.
        after: Epoch and sequence number to go on after.
        limit_seconds: Longest stream.

    Raises:
        grpc.aio.AioRpcError: The orchestrator refuses, or is gone.
    """
    request = pb.WatchExecutionRequest(
        execution_id=execution_id, after_epoch=after[0], after_sequence=after[1]
    )
    call = neighbours.orchestrator.WatchExecution(request, timeout=limit_seconds)
    with ending(call):
        async for response in call:
            yield _sent(response.event)
    yield {"event": _LAST, "data": "{}"}


def _sent(event: ExecutionEvent) -> dict[str, str]:
    plain = plain_event(event)
    sent = {"event": plain["event"], "data": json.dumps(plain, ensure_ascii=False)}
    if plain["event"] not in _EPHEMERAL:
        sent["id"] = f"{event.epoch}-{event.sequence_number}"
    return sent

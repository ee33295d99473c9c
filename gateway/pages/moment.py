"""The present moment of an execution: where it stands, and all that was recorded so far."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from servicekit.channel import ending
from servicekit.plain import plain_message
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb

if TYPE_CHECKING:
    from gateway.neighbours import Neighbours

Json = dict[str, Any]

REPLAY_SECONDS = 5.0
"""Longest wait for what was recorded; then a page shows what has come."""


@dataclass
class Moment:
    """What a page is drawn from, in the plain form of the contract.

    Attributes:
        execution: As `GetExecution` tells it.
        text_so_far: What is being written now, as far as the person may see it.
        items: Recorded items in order; those that the person may not see have no content.
    """

    execution: Json
    text_so_far: str = ""
    items: list[Json] = field(default_factory=list)

    def of_type(self, *item_types: str) -> list[Json]:
        """Return the items of these types."""
        return [item for item in self.items if item["item_type"] in item_types]


async def present_moment(neighbours: Neighbours, execution_id: str) -> Moment:
    """Return where an execution stands.

    Raises:
        grpc.aio.AioRpcError: It is not the caller's, or a service does not answer.
    """
    request = pb.WatchExecutionRequest(execution_id=execution_id)
    call = neighbours.orchestrator.WatchExecution(request, timeout=3600)
    moment: Moment | None = None
    with ending(call):
        try:
            async with asyncio.timeout(REPLAY_SECONDS):
                async for response in call:
                    event = response.event
                    if event.HasField("snapshot"):
                        snapshot = plain_message(event.snapshot)
                        moment = Moment(snapshot["execution"], snapshot.get("text_so_far", ""))
                    elif moment is not None and event.HasField("item_recorded"):
                        moment.items.append(plain_message(event.item_recorded.item))
                    if moment is not None and _has_all(moment, event.sequence_number):
                        break
        except TimeoutError:
            if moment is None:
                raise
    if moment is None:
        raise RuntimeError("a stream of events began without a snapshot")
    return moment


def _has_all(moment: Moment, sequence_number: int) -> bool:
    last = moment.execution.get("last_sequence_number", 0)
    return last == 0 or (sequence_number >= last and bool(moment.items))

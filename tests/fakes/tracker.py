"""A tracker that can be told to misbehave: for tests of the recorder alone.

It keeps items in memory and, when asked, one line per committed item in a file before it acks, so
that what a killed tracker had acked can be counted afterwards. As a program it prints its port:
`python -m tests.fakes.tracker JOURNAL [PORT]`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from servicekit.errors import InternalError, InvalidArgumentError, ResourceExhaustedError
from servicekit.server import start_server
from servicekit.settings import ServiceSettings
from stellwerk.tracker.v1 import execution_pb2, tracker_service_pb2
from tests.fakes.partial import add_partial_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc


@dataclass
class FakeTracker:
    """The tracker's record stream, with switches.

    Attributes:
        journal: File of committed item ids; None = none is written.
        refuse: Item types that are refused one by one.
        reject: Item types that make the whole batch INVALID_ARGUMENT.
        choke: Item types that make the whole stream INTERNAL.
        busy_count: How many of the next batches are answered with STORE_BUSY.
        ack_delay_seconds: Wait before each ack.
        items: Committed items by id.
        repeats: How many items came more than once.
        batch_sizes: Items of each committed batch.
        stream_count: Streams that were opened.
    """

    journal: Path | None = None
    refuse: set[str] = field(default_factory=set)
    reject: set[str] = field(default_factory=set)
    choke: set[str] = field(default_factory=set)
    busy_count: int = 0
    ack_delay_seconds: float = 0.0
    items: dict[str, execution_pb2.ExecutionItem] = field(default_factory=dict)
    plans: dict[str, bytes] = field(default_factory=dict)
    heartbeats: list[tracker_service_pb2.ExecutionHeartbeat] = field(default_factory=list)
    repeats: int = 0
    plan_count: int = 0
    batch_sizes: list[int] = field(default_factory=list)
    stream_count: int = 0
    _answering: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Begin thawed."""
        self.thaw()

    def freeze(self) -> None:
        """Answer nothing from now on."""
        self._answering.clear()

    def thaw(self) -> None:
        """Answer again."""
        self._answering.set()

    async def record_items(
        self,
        request_iterator: AsyncIterator[tracker_service_pb2.RecordItemsRequest],
        context: grpc.aio.ServicerContext[object, object],
    ) -> AsyncIterator[tracker_service_pb2.RecordItemsResponse]:
        """Commit batch by batch, as far as the switches allow."""
        self.stream_count += 1
        async for request in request_iterator:
            await self._answering.wait()
            await asyncio.sleep(self.ack_delay_seconds)
            self._misbehave({item.item_type for item in request.items})
            yield self._commit(request)

    def _misbehave(self, item_types: set[str]) -> None:
        if self.busy_count:
            self.busy_count -= 1
            raise ResourceExhaustedError("STORE_BUSY", "Send it again.", retry_seconds=0.05)
        if item_types & self.reject:
            raise InvalidArgumentError("BATCH_TOO_LARGE", "One of these is not for me.")
        if item_types & self.choke:
            raise InternalError("CHOKED", "One of these is too much for me.")

    def _commit(
        self, request: tracker_service_pb2.RecordItemsRequest
    ) -> tracker_service_pb2.RecordItemsResponse:
        response = tracker_service_pb2.RecordItemsResponse(batch_number=request.batch_number)
        for index, item in enumerate(request.items):
            if item.item_type in self.refuse:
                response.refused.add(item_id=item.item_id, reason="STAGE_MISMATCH", index=index)
                continue
            response.accepted_count += 1
            self.repeats += item.item_id in self.items
            self.items[item.item_id] = item
        self.plans |= {plan.plan_digest: plan.plan_json for plan in request.plans}
        self.plan_count += len(request.plans)
        self.heartbeats += request.heartbeats
        self.batch_sizes.append(len(request.items))
        if self.journal is not None:
            lines = "".join(f"{item.item_id} {item.sequence_number}\n" for item in request.items)
            with self.journal.open("a") as file:
                file.write(lines)
        return response

    def numbers(self, execution_id: str) -> list[int]:
        """Return the committed sequence numbers of an execution, sorted."""
        return sorted(
            item.sequence_number
            for item in self.items.values()
            if item.execution_id == execution_id
        )


@contextlib.asynccontextmanager
async def serving_tracker(tracker: FakeTracker, address: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Serve `tracker` in this process and yield its address."""

    async def register(server: grpc.aio.Server, _: object) -> list[str]:
        service = tracker_service_pb2.DESCRIPTOR.services_by_name["TrackerService"]
        return [add_partial_service(server, service, {"RecordItems": tracker.record_items})]

    settings = ServiceSettings(listen_address=address, grace_seconds=0)
    async with start_server(settings, register) as server:
        yield server.address


async def _main(journal: Path, port: str) -> None:
    async with serving_tracker(FakeTracker(journal=journal), f"127.0.0.1:{port}") as address:
        sys.stdout.write(f"serving {address}\n")
        sys.stdout.flush()
        # Whoever started it holds the other end of stdin, so it never outlives the test.
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "0"))

"""The record stream: batches in, acknowledgements out, and nothing in between that waits.

Batches are read ahead while earlier ones are being committed, up to a bound; each is acknowledged
after its commit, in the order of arrival.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from servicekit.errors import InvalidArgumentError, UnavailableError
from servicekit.spans import Role
from tracker_service.converters import outcome_message, read_heartbeat, read_item, read_plan
from tracker_service.intake import check_item, is_plan
from tracker_service.items import ExecutionItem, Refusal, RefusedItem
from tracker_service.store.interface import Batch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence

    from servicekit.spans import Tracer
    from stellwerk.tracker.v1 import tracker_service_pb2 as pb
    from tracker_service.access import Writer
    from tracker_service.metrics import TrackerMetrics
    from tracker_service.store.interface import BatchOutcome, Store
    from tracker_service.taxonomy import Taxonomy

log = structlog.get_logger(__name__)

MAX_ITEMS: Final = 4096
MAX_AHEAD: Final = 32
"""Shares of room of one stream that may wait for their commit; each batch takes one or more."""
SHARE_BYTES: Final = 256 * 1024
"""For so many bytes a batch takes one share more."""


class _Pending:
    """A batch that is on its way into the store."""

    def __init__(
        self,
        batch_number: int,
        shares: int,
        refused: list[RefusedItem],
        stored: Awaitable[BatchOutcome],
        links: Sequence[str],
    ) -> None:
        self.shares = shares
        self._batch_number = batch_number
        self._refused = refused
        self._stored = stored
        self._links = links
        self._arrived = time.perf_counter()

    async def acknowledgement(
        self, metrics: TrackerMetrics, tracer: Tracer
    ) -> pb.RecordItemsResponse:
        """Wait for the commit."""
        if self._links:  # a trace of its own, since a batch holds items of many executions
            with tracer.begin("store items", Role.CONSUMER, links=self._links) as span:
                outcome = await self._stored
                span.note({"stellwerk.items": outcome.accepted_count})
        else:
            outcome = await self._stored
        metrics.batch_stored(outcome.accepted_count, time.perf_counter() - self._arrived)
        refused = sorted((*self._refused, *outcome.refused), key=lambda one: one.index)
        for one in refused:
            metrics.item_refused(one.reason)
        if refused:
            reasons = sorted({one.reason for one in refused})
            log.warning("items_refused", item_count=len(refused), reasons=reasons)
        return outcome_message(self._batch_number, replace(outcome, refused=tuple(refused)))


class _Stream:
    """What one stream has read and not yet acknowledged."""

    def __init__(self) -> None:
        self.pending: asyncio.Queue[_Pending | None] = asyncio.Queue()  # bounded by `room`
        self.room = asyncio.Semaphore(MAX_AHEAD)
        self.draining = False

    def end(self) -> None:
        """Let the stream end behind what it has read."""
        self.pending.put_nowait(None)


class RecordStreams:
    """All record streams that are open."""

    def __init__(
        self, store: Store, taxonomy: Taxonomy, metrics: TrackerMetrics, tracer: Tracer
    ) -> None:
        """Record into `store` what `taxonomy` lets through."""
        self._store = store
        self._taxonomy = taxonomy
        self._metrics = metrics
        self._tracer = tracer
        self._open: set[_Stream] = set()
        metrics.read_streams(lambda: len(self._open))

    async def serve(
        self, requests: AsyncIterator[pb.RecordItemsRequest], writer: Writer
    ) -> AsyncGenerator[pb.RecordItemsResponse, None]:
        """Record batches until the producer has no more.

        Args:
            requests: The batches.
            writer: Who sends them.

        Yields:
            One acknowledgement per batch, after its commit.

        Raises:
            InvalidArgumentError: EMPTY_BATCH or BATCH_TOO_LARGE.
            ResourceExhaustedError: STORE_BUSY.
            UnavailableError: STORE_UNAVAILABLE, or DRAINING: the service stops.
        """
        stream = _Stream()
        self._open.add(stream)
        reader = asyncio.create_task(self._read(requests, writer, stream), name="record-reader")
        try:
            while (pending := await stream.pending.get()) is not None:
                yield await pending.acknowledgement(self._metrics, self._tracer)
                for _ in range(pending.shares):
                    stream.room.release()
            if stream.draining:
                raise UnavailableError(
                    "DRAINING", "The tracker stops; send again.", retry_seconds=0.5
                )
            await reader  # raises what ended it
        finally:
            self._open.discard(stream)
            reader.cancel()

    async def drain(self) -> None:
        """End all streams behind what they have read: the service stops."""
        for stream in self._open:
            stream.draining = True
            stream.end()

    async def _read(
        self, requests: AsyncIterator[pb.RecordItemsRequest], writer: Writer, stream: _Stream
    ) -> None:
        try:
            async for request in requests:
                size_bytes = request.ByteSize()
                shares = min(1 + size_bytes // SHARE_BYTES, MAX_AHEAD)
                for _ in range(shares):
                    await stream.room.acquire()
                batch, refused = self._read_batch(request, writer, size_bytes)
                stored = self._store.record(batch)
                stream.pending.put_nowait(
                    _Pending(request.batch_number, shares, refused, stored, request.trace_parents)
                )
        finally:
            stream.end()

    def _read_batch(
        self, request: pb.RecordItemsRequest, writer: Writer, size_bytes: int
    ) -> tuple[Batch, list[RefusedItem]]:
        """Return what may be stored of a request, and the items that may not."""
        if not (request.items or request.plans or request.heartbeats or request.trace_parents):
            raise InvalidArgumentError("EMPTY_BATCH", "Send a batch that holds something.")
        counts = (len(request.items), len(request.plans), len(request.heartbeats))
        if max(*counts, len(request.trace_parents)) > MAX_ITEMS:
            raise InvalidArgumentError(
                "BATCH_TOO_LARGE", "Send at most 4 096 items in a batch.", field="items"
            )
        items: list[tuple[int, ExecutionItem]] = []
        refused: list[RefusedItem] = []
        for index, message in enumerate(request.items):
            try:
                item = read_item(message)
                check_item(item, self._taxonomy)
            except Refusal as exc:
                item_id = message.item_id[:64]
                refused.append(RefusedItem(index, item_id, exc.reason, exc.message))
            else:
                items.append((index, item))
        plans = [read_plan(plan) for plan in request.plans]
        batch = Batch(
            writer=writer,
            items=items,
            plans=[plan for plan in plans if is_plan(plan.plan_digest, plan.plan_json)],
            heartbeats=[read_heartbeat(one) for one in request.heartbeats],
            size_bytes=size_bytes,
        )
        return batch, refused

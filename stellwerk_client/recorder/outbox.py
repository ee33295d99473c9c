"""What is on its way to the tracker: batches, their acks, and what has to be sent again.

Only an ack settles a batch. A stream that ends puts everything unacked back to the front. When the
tracker rejects a whole request, one of its frames must be at fault; then batches go one at a time
and are halved until that frame stands alone, so that it cannot hold up all the others for ever.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import structlog

from stellwerk_client.recorder.frames import (
    BATCH_NUMBER,
    framed_bytes,
    item_count,
    varint,
)
from stellwerk_client.recorder.segment import READ_BYTES

if TYPE_CHECKING:
    from stellwerk.tracker.v1 import tracker_service_pb2
    from stellwerk_client.recorder.intake import Intake
    from stellwerk_client.recorder.limits import Limits
    from stellwerk_client.recorder.segment import Segment
    from stellwerk_client.recorder.spool import Spool

log = structlog.get_logger(__name__)

_MEMORY_BATCH_BYTES = 1024 * 1024
_FULL_BYTES = READ_BYTES // 2
_MAX_HEARTBEATS = 4_096
_FAILURES_BEFORE_BLAME = 3
"""Streams in a row that may end with a doubtful status before the batch itself is suspected."""


class Blame(Enum):
    """What the end of a stream says about the oldest unacked batch."""

    NOT_BATCH = "not_batch"
    MAYBE_BATCH = "maybe_batch"
    BATCH = "batch"


@dataclass
class Tally:
    """Counts of items since the start.

    Attributes:
        acked: Committed by the tracker.
        refused: Never accepted by the tracker.
        adopted: Read from spools of dead processes.
    """

    acked: int = 0
    refused: int = 0
    adopted: int = 0


@dataclass(frozen=True)
class Batch:
    """Payloads that are sent together.

    Attributes:
        payloads: Items and plans.
        segment: Where they come from; None = from memory.
        suspect_since: How many batches had been acked when it first failed alone; None = it has
            not.
    """

    payloads: list[bytes]
    segment: Segment | None
    suspect_since: int | None = None


class Request(NamedTuple):
    """A request as it goes to the tracker.

    Attributes:
        data: Serialized.
        full: Whether it is as large as requests get, or sent again, so that more waits behind it.
    """

    data: bytes
    full: bool


class Outbox:
    """Hands out requests and takes in acks; used by the threads of the sender."""

    def __init__(self, spool: Spool, intake: Intake, limits: Limits) -> None:
        """Begin with nothing on its way."""
        self.tally = Tally()
        self._spool = spool
        self._intake = intake
        self._limits = limits
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._link = 0
        self._in_flight: dict[int, tuple[Batch, float]] = {}
        self._resend: deque[Batch] = deque()
        self._parked: deque[Batch] = deque()
        self._careful = False
        self._failures = 0
        self._acks = 0
        self._heartbeat_lock = threading.Lock()
        self._heartbeats: dict[str, bytes] = {}
        self._heartbeats_in_flight: dict[int, dict[str, bytes]] = {}

    def set_heartbeat(self, execution_id: str, payload: bytes | None) -> None:
        """Keep the newest heartbeat of an execution; None = it needs none any more."""
        # Not the other lock: it is held while the disk is read, and pipelines call this.
        with self._heartbeat_lock:
            for older in (self._heartbeats, *self._heartbeats_in_flight.values()):
                older.pop(execution_id, None)
            if payload is None:
                return
            if len(self._heartbeats) >= _MAX_HEARTBEATS:
                self._heartbeats.pop(next(iter(self._heartbeats)))
            self._heartbeats[execution_id] = payload

    def _take_heartbeats(self, number: int) -> list[bytes]:
        with self._heartbeat_lock:
            ids = list(itertools.islice(self._heartbeats, self._limits.batch_items))
            taken = {execution_id: self._heartbeats.pop(execution_id) for execution_id in ids}
            if taken:
                self._heartbeats_in_flight[number] = taken
            return list(taken.values())

    def _take_back_heartbeats(self) -> None:
        """Keep those that were not acked and have no successor."""
        with self._heartbeat_lock:
            for unacked in self._heartbeats_in_flight.values():
                self._heartbeats.update(unacked)
            self._heartbeats_in_flight.clear()

    def open_link(self) -> int:
        """Begin a stream; its number goes with `next_request`."""
        with self._lock:
            self._link += 1
            return self._link

    def next_request(self, link: int) -> Request | None:
        """Return the next request of a stream; None when there is none now."""
        with self._lock:
            if link != self._link or not self._has_room():
                return None
            again = bool(self._resend)
            # Before the items: what a heartbeat was preceded by then never comes after it.
            number = next(self._numbers)
            extra = [] if self._careful else self._take_heartbeats(number)
            batch = self._next_batch()
            if batch is None:
                if not extra:
                    return None
                batch = Batch([], None)
            self._in_flight[number] = (batch, time.monotonic())
            data = b"".join((*batch.payloads, *extra, bytes((BATCH_NUMBER,)), varint(number)))
        full = len(batch.payloads) >= self._limits.batch_items or len(data) > _FULL_BYTES
        return Request(data, full or again)

    def _has_room(self) -> bool:
        limit = 1 if self._careful else self._limits.batches_in_flight
        return len(self._in_flight) < limit

    def _next_batch(self) -> Batch | None:
        if self._resend:
            return self._resend.popleft()
        if self._careful and not self._in_flight:
            self._careful = False
        unsent = self._spool.next_unsent(self._limits.batch_items)
        if unsent is not None:
            if unsent.adopted:
                self.tally.adopted += item_count(unsent.piece.payloads)
            return Batch(unsent.piece.payloads, unsent.segment)
        payloads = self._intake.from_memory(self._limits.batch_items, _MEMORY_BATCH_BYTES)
        if payloads:
            return Batch(payloads, None)
        if self._parked and not self._in_flight:
            self._careful = True
            return self._parked.popleft()
        return None

    def take_ack(self, response: tracker_service_pb2.RecordItemsResponse) -> bool:
        """Settle the batch that `response` answers; tell whether others waited for its room."""
        with self._lock:
            waited = not self._has_room()
            with self._heartbeat_lock:
                self._heartbeats_in_flight.pop(response.batch_number, None)
            entry = self._in_flight.pop(response.batch_number, None)
            if entry is None:
                return False
            self._failures = 0
            batch, _ = entry
            self._settle(batch, len(response.refused))
            self._acks += bool(batch.payloads)
        for refused in response.refused:
            log.warning("item_refused", item_id=refused.item_id, reason=refused.reason)
        return waited

    def _settle(self, batch: Batch, refused_count: int) -> None:
        self.tally.refused += refused_count
        self.tally.acked += item_count(batch.payloads) - refused_count
        if batch.segment is not None:
            batch.segment.settled_bytes += framed_bytes(batch.payloads)
        elif batch.payloads:
            self._intake.forget(framed_bytes(batch.payloads))

    def close_link(self, blame: Blame) -> None:
        """End the stream: what is unacked will be sent again, but for a frame that is at fault."""
        with self._lock:
            self._link += 1
            self._take_back_heartbeats()
            batches = [batch for batch, _ in self._in_flight.values() if batch.payloads]
            self._in_flight.clear()
            if batches and blame is not Blame.NOT_BATCH:
                self._failures += 1
                if blame is Blame.BATCH or self._failures >= _FAILURES_BEFORE_BLAME:
                    if self._careful and len(batches) == 1:
                        batches = self._narrow(batches[0], blame)
                    self._careful = True
                    self._failures = 0
            self._resend.extendleft(reversed(batches))

    def _narrow(self, batch: Batch, blame: Blame) -> list[Batch]:
        """Return what to send instead of a batch that was sent alone and failed."""
        payloads = batch.payloads
        if len(payloads) > 1:
            middle = len(payloads) // 2
            return [
                replace(batch, payloads=payloads[:middle]),
                replace(batch, payloads=payloads[middle:]),
            ]
        since = batch.suspect_since
        if blame is Blame.MAYBE_BATCH and (since is None or since == self._acks):
            # Perhaps the tracker fails at everything: wait until it has taken something else.
            self._parked.append(replace(batch, suspect_since=self._acks))
            return []
        self._settle(batch, item_count(payloads))
        log.error("frame_rejected", size_bytes=len(payloads[0]))
        return []

    def waiting_since(self) -> float | None:
        """Return when the oldest unacked batch was sent, on the monotonic clock; None = none is."""
        with self._lock:
            return next((sent for _, sent in self._in_flight.values()), None)

    def take_back(self) -> list[bytes]:
        """Return the unsettled payloads that no file holds; for the end of the process."""
        with self._lock:
            batches = [batch for batch, _ in self._in_flight.values()]
            batches += [*self._resend, *self._parked]
        return [data for batch in batches if batch.segment is None for data in batch.payloads]

    def has_work(self) -> bool:
        """Tell whether something should be sent."""
        with self._lock:
            mine = bool(self._resend or self._parked or self._heartbeats)
        return mine or self._spool.unread() or self._intake.memory_count > 0

    def empty(self) -> bool:
        """Tell whether everything that was taken is settled."""
        with self._lock:
            mine = bool(self._resend or self._in_flight or self._parked)
        return not (mine or self._spool.unread() or self._intake.memory_count)

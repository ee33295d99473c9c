"""Where `record()` puts its frames without ever waiting: the spool, or memory while the disk fails.

The hot path is one write into the page cache under a lock that nobody holds for long. Whatever can
take time on a disk (syncing, opening a new segment, trying whether a sick disk is well again) is
done by `sync` and `tend`, which the keeper thread calls.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING

from stellwerk_client.recorder.frames import HEADER
from stellwerk_client.recorder.frames import frame as make_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from stellwerk_client.recorder.limits import Limits
    from stellwerk_client.recorder.segment import Segment
    from stellwerk_client.recorder.spool import Spool

_CHUNK_BYTES = 256 * 1024
"""Moved from memory to the disk at once."""
_READMISSION_SHARE = 0.9
"""A spool that was full takes items again when it is below this share of its quota."""
_SETTLED_ROTATION_BYTES = 256 * 1024
"""A segment of which all is settled is left at once when it has this size, to free the disk."""


class Intake:
    """Takes frames from any thread.

    Attributes:
        aside: Whether frames go to memory at present.
        cause: Why they last did: `failed`, `stalled`, `quota` or `sync_failed`.
        closed: Whether nothing is taken any more.
        taken: Items taken so far.
        dropped: Items for which there was no room.
    """

    def __init__(self, spool: Spool, limits: Limits, wake_keeper: Callable[[], None]) -> None:
        """Begin with a fresh segment.

        Args:
            spool: Where frames go.
            limits: Quota, memory, and when a write counts as stalled.
            wake_keeper: Called when `tend` is wanted at once.

        Raises:
            OSError: The disk does not let us.
        """
        self.aside = False
        self.cause = ""
        self.closed = False
        self.taken = 0
        self.dropped = 0
        self._spool = spool
        self._limits = limits
        self._wake_keeper = wake_keeper
        self._lock = threading.Lock()
        self._slow = False
        self._memory: deque[bytes] = deque()
        self._memory_bytes = 0
        self._other_bytes = 0  # of all segments but the current one
        self._synced_bytes = 0
        self._next_try = 0.0
        self._rotated = time.monotonic()
        self._segment = spool.new_segment()
        spool.add(self._segment)

    def take(self, frame: bytes, item_count: int = 1) -> bool:
        """Keep `frame`, which holds an item or none; False when there is no room for it."""
        with self._lock:
            if not self.closed and (self._write(frame) or self._remember(frame)):
                self.taken += item_count
                return True
            self.dropped += item_count
            return False

    def _write(self, frame: bytes) -> bool:
        segment = self._segment
        if self.aside:
            return False
        if self._other_bytes + segment.size_bytes + len(frame) > self._limits.quota_bytes:
            self._divert("quota")
            return False
        started = perf_counter()
        written = segment.append(frame)
        slow = perf_counter() - started > self._limits.stall_seconds
        if not written:
            self._divert("failed")
        elif slow and self._slow:
            # The second in a row: a single one is more often a busy CPU, and memory is a worse
            # place for an item than a disk that is well.
            self._divert("stalled")
        self._slow = slow
        return written

    def _remember(self, frame: bytes) -> bool:
        if self._memory_bytes + len(frame) > self._limits.memory_bytes:
            return False
        self._memory.append(frame)
        self._memory_bytes += len(frame)
        return True

    def _divert(self, cause: str) -> None:
        self.aside = True
        self._segment.sealed = True  # so that it can go when it is settled, and make room
        self.cause = cause
        self._next_try = 0.0
        self._wake_keeper()

    def from_memory(self, max_count: int, max_bytes: int) -> list[bytes]:
        """Take payloads that the disk would not have; their bytes stay counted until `forget`."""
        payloads: list[bytes] = []
        with self._lock:
            while self._memory and len(payloads) < max_count and max_bytes > 0:
                payloads.append(self._memory.popleft()[HEADER.size :])
                max_bytes -= len(payloads[-1])
        return payloads

    def forget(self, framed_bytes: int) -> None:
        """Free the room of payloads from memory that are settled now."""
        with self._lock:
            self._memory_bytes -= framed_bytes

    @property
    def memory_count(self) -> int:
        """How many frames wait in memory, not counting those on their way."""
        return len(self._memory)

    def sync(self) -> None:
        """Let what was taken reach the disk. Takes as long as disks do."""
        segment = self._segment
        size = segment.size_bytes
        if self.aside or size == self._synced_bytes:
            return
        if segment.sync():
            self._synced_bytes = size
        else:
            with self._lock:
                self._divert("sync_failed")

    def tend(self) -> None:
        """Leave full segments, remove settled ones, return to a disk that is well again."""
        self._spool.sweep()
        stored = self._spool.stored_bytes()
        with self._lock:
            if not self.aside:
                self._other_bytes = stored - self._segment.size_bytes
        if self.aside or self._wants_rotation(time.monotonic() - self._rotated):
            self._change_segment(stored)

    def _wants_rotation(self, age_seconds: float) -> bool:
        """Tell whether the segment is full, or keeps what the tracker has had long enough.

        What a person wrote must not stay here after the tracker has erased it.
        """
        segment = self._segment
        if segment.size_bytes >= self._limits.segment_bytes:
            return True
        if 0 < segment.size_bytes == segment.settled_bytes:
            return (
                segment.size_bytes >= _SETTLED_ROTATION_BYTES
                or age_seconds > self._limits.settled_seconds
            )
        # Under steady load a little is always on its way: then age alone decides. In an outage
        # nothing is settled, and many small segments would help nobody.
        return segment.settled_bytes > 0 and age_seconds > self._limits.max_settled_seconds

    def _change_segment(self, stored_bytes: int) -> None:
        """Move to a new segment: first what waits in memory, in order, then all that comes."""
        segment = self._open_segment(stored_bytes)
        if segment is None:
            return
        self._spool.add(segment)
        while not self._switch_to(segment):
            if not self._move_chunk(segment):
                segment.sealed = True
                return

    def _open_segment(self, stored_bytes: int) -> Segment | None:
        """Open a segment if it is time to try, there is room, and the disk is quick about it."""
        now = time.monotonic()
        full = stored_bytes + self._memory_bytes > _READMISSION_SHARE * self._limits.quota_bytes
        if now < self._next_try or (self.aside and full):
            return None
        self._next_try = now + self._limits.disk_retry_seconds
        started = perf_counter()
        try:
            segment = self._spool.new_segment()
        except OSError:
            return None
        if self.aside and perf_counter() - started > self._limits.stall_seconds:
            segment.remove()
            return None
        return segment

    def _switch_to(self, segment: Segment) -> bool:
        """Let all that comes go to `segment`, unless something still waits before it."""
        with self._lock:
            if self._memory:
                return False
            old, self._segment, self.aside = self._segment, segment, False
            self._other_bytes = self._spool.stored_bytes() - segment.size_bytes
            self._synced_bytes = self._next_try = 0
        self._rotated = time.monotonic()
        old.sync()
        old.sealed = True
        return True

    def _move_chunk(self, segment: Segment) -> bool:
        """Move the oldest frames from memory to `segment`; False when the disk is not well."""
        chunk: list[bytes] = []
        size = 0
        with self._lock:
            while self._memory and size < _CHUNK_BYTES:
                chunk.append(self._memory.popleft())
                size += len(chunk[-1])
        started = perf_counter()
        written = segment.append(b"".join(chunk))
        with self._lock:
            if written:
                self._memory_bytes -= size
            else:
                self._memory.extendleft(reversed(chunk))
        return written and perf_counter() - started <= self._limits.stall_seconds

    def close(self, unsettled: list[bytes]) -> None:
        """Take nothing more; what is in memory goes to the disk if that lets us.

        Args:
            unsettled: Payloads from memory that were sent in vain.
        """
        with self._lock:
            self.closed = True
            self._memory.extendleft(make_frame(payload) for payload in reversed(unsettled))
        if self._memory:
            self._next_try = 0
            self._change_segment(0)
        self._segment.sync()
        self._segment.sealed = True

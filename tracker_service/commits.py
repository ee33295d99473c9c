"""Wakes those who wait for new items.

It carries no data: whoever is woken reads the store, so that a slow reader costs nothing, and
there is no seam between history and what comes live.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker_service.store.interface import Committed


class Waker:
    """One who waits; owned by one task."""

    def __init__(self) -> None:
        """Start asleep."""
        self._event = asyncio.Event()

    def wake(self) -> None:
        """End the present or the next wait."""
        self._event.set()

    def rest(self) -> None:
        """Forget earlier wakes; call it before reading what they were about."""
        self._event.clear()

    async def wait(self, seconds: float) -> bool:
        """Wait for a wake since the last `rest`; return whether there was one in time."""
        # Not `wait_for`: before Python 3.12 it loses a cancellation that meets the wake.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        return self._event.is_set()


class CommitHub:
    """Tells waiting tasks about commits; lives in the event loop."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._by_execution: dict[str, set[Waker]] = {}
        self._for_completed: set[Waker] = set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the service is stopping, so that nobody should wait any more."""
        return self._closed

    def __call__(self, committed: Committed) -> None:
        """Wake those whom a commit concerns."""
        if committed.unknown:
            self._wake_all()
            return
        if committed.completed:
            for waker in self._for_completed:
                waker.wake()
        if self._by_execution:
            for execution_id in committed.execution_ids & self._by_execution.keys():
                for waker in self._by_execution[execution_id]:
                    waker.wake()

    @contextlib.contextmanager
    def watching(self, execution_id: str) -> Iterator[Waker]:
        """Be woken whenever something about an execution is committed."""
        waker = Waker()
        self._by_execution.setdefault(execution_id, set()).add(waker)
        try:
            yield waker
        finally:
            wakers = self._by_execution[execution_id]
            wakers.discard(waker)
            if not wakers:
                del self._by_execution[execution_id]

    @contextlib.contextmanager
    def watching_completed(self) -> Iterator[Waker]:
        """Be woken whenever an execution has become complete, or a complete one has grown."""
        waker = Waker()
        self._for_completed.add(waker)
        try:
            yield waker
        finally:
            self._for_completed.discard(waker)

    async def close(self) -> None:
        """Wake everybody for the last time: the service stops."""
        self._closed = True
        self._wake_all()

    def _wake_all(self) -> None:
        for wakers in (*self._by_execution.values(), self._for_completed):
            for waker in wakers:
                waker.wake()

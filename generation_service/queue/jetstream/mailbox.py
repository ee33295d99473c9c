"""What a watcher has not read yet of a job's events: few, since newer ones replace older ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generation_service.queue.jetstream.wire import Fields

_REPLACEABLE = ("queued", "progress")


class Mailbox:
    """Where the leader's messages about a job arrive.

    Attributes:
        number: Of the newest event that has arrived.
        behind: Something may have been missed: the leader must be asked again.
        ended: There is nothing more to come.
        closed: This process stops.
    """

    def __init__(self, number: int) -> None:
        """Expect what comes after the event of this number."""
        self.number = number
        self.behind = False
        self.ended = False
        self.closed = False
        self._unread: list[Fields] = []
        self._changed = asyncio.Event()

    def put(self, message: Fields) -> None:
        """Take a message of the leader."""
        event = message.get("event")
        if event is not None and event["number"] > self.number:
            self.number = event["number"]
            last = self._unread[-1]["kind"] if self._unread else ""
            if event["kind"] in _REPLACEABLE and last == event["kind"]:
                self._unread.pop()
            self._unread.append(event)
        told = message.get("told")
        if told is not None:
            self.behind |= told > self.number
            self.ended |= message["ended"] and not self.behind
        self._changed.set()

    def distrust(self) -> None:
        """Somebody else leads now."""
        self.behind = True
        self._changed.set()

    def close(self) -> None:
        """Expect nothing more: this process stops."""
        self.closed = True
        self._changed.set()

    def take(self) -> Fields | None:
        """The next unread event; None: there is none."""
        return self._unread.pop(0) if self._unread else None

    async def wait(self, limit_seconds: float) -> None:
        """Wait until something has arrived; the leader's silence counts as having missed it."""
        try:
            async with asyncio.timeout(limit_seconds):
                await self._changed.wait()
        except TimeoutError:
            self.behind = True
        self._changed.clear()

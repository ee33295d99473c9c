"""Logging of what goes wrong on the hot path: counted there, told here, and never as a flood."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from stellwerk_client.recorder.intake import Intake

log = structlog.get_logger(__name__)


class Troubles:
    """Tells of drops and of a failing disk, each at most once in a while.

    Attributes:
        unreadable_count: Items that could not be encoded.
    """

    def __init__(self, log_seconds: float) -> None:
        """Begin without troubles.

        Args:
            log_seconds: Least time between two lines of one kind.
        """
        self.unreadable_count = 0
        self._log_seconds = log_seconds
        self._next: dict[str, float] = {}
        self._told_unreadable = 0
        self._told_dropped = 0
        self._unreadable = ("", "")

    def unreadable(self, item_type: str, exc: Exception) -> bool:
        """Count an item that could not be encoded; called on the hot path, so nothing is logged.

        Returns:
            False: it was not taken.
        """
        self.unreadable_count += 1
        self._unreadable = (str(item_type)[:64], type(exc).__name__)
        return False

    def report(self, intake: Intake) -> None:
        """Log what is new; called by the keeper."""
        if intake.aside and self._may_log("aside"):
            log.warning("spool_diverted", cause=intake.cause, in_memory=intake.memory_count)
        dropped = intake.dropped
        if dropped > self._told_dropped and self._may_log("dropped"):
            log.error("items_dropped", count=dropped - self._told_dropped, cause=intake.cause)
            self._told_dropped = dropped
        count = self.unreadable_count
        if count > self._told_unreadable and self._may_log("unreadable"):
            item_type, error = self._unreadable
            new = count - self._told_unreadable
            log.error("items_unreadable", count=new, item_type=item_type, error=error)
            self._told_unreadable = count

    def _may_log(self, kind: str) -> bool:
        now = time.monotonic()
        if now < self._next.get(kind, 0.0):
            return False
        self._next[kind] = now + self._log_seconds
        return True

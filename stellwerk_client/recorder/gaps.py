"""What had to be dropped, kept until the record itself can say so.

The tracker finds missing numbers by itself. This tells the researcher why they are missing: the
next item of the execution that is taken carries the gap in its metadata.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

METADATA_KEY = "recorder"
"""The key of an item's metadata that belongs to the recorder."""

_MAX_EXECUTIONS = 4_096


@dataclass
class _Gap:
    dropped_count: int
    first: int
    last: int


class Gaps:
    """Dropped items by execution; bounded, since an outage may last.

    Attributes:
        any: Whether there are gaps that no item has told of yet.
    """

    def __init__(self) -> None:
        """Begin without gaps."""
        self.any = False
        self._lock = threading.Lock()
        self._gaps: dict[str, _Gap] = {}

    def add(self, execution_id: str, sequence_number: int) -> None:
        """Remember that an item was dropped."""
        with self._lock:
            gap = self._gaps.get(execution_id)
            if gap is None:
                if len(self._gaps) >= _MAX_EXECUTIONS:
                    self._gaps.pop(next(iter(self._gaps)))
                gap = self._gaps[execution_id] = _Gap(0, sequence_number, sequence_number)
            gap.dropped_count += 1
            gap.first = min(gap.first, sequence_number)
            gap.last = max(gap.last, sequence_number)
            self.any = True

    def told(self, execution_id: str) -> None:
        """Forget the gap of an execution: an item that tells of it was taken."""
        with self._lock:
            self._gaps.pop(execution_id, None)
            self.any = bool(self._gaps)

    def annotate(
        self, metadata: Mapping[str, Any] | None, execution_id: str, *, in_memory: bool
    ) -> Mapping[str, Any] | None:
        """Return `metadata` with what the record has to say about its own making."""
        remarks: dict[str, Any] = {}
        with self._lock:
            gap = self._gaps.get(execution_id)
            if gap is not None:
                remarks["gap"] = vars(gap).copy()
        if in_memory:
            remarks["held_in_memory"] = True
        return {**(metadata or {}), METADATA_KEY: remarks} if remarks else metadata

"""Whose turn it is: stride scheduling over sessions, first come first served within one.

A class of thirty gets equal turns whatever one child submits. Every session has a counter that
grows with each of its turns; the lowest counter is next. A session that comes (back) starts at
the present time, which grows by the share of one turn per turn, so it can neither save up turns
nor starve those who wait. With equal priorities this is round robin
(C. Waldspurger, W. Weihl, "Stride Scheduling", 1995).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Line(Generic[T]):
    """The waiting entries of one session."""

    counter: float
    arrival: int
    entries: deque[tuple[T, int]] = field(default_factory=deque)


class Turns(Generic[T]):
    """Waiting entries, handed out in fair turns."""

    def __init__(self) -> None:
        """Nothing waits yet."""
        self._lines: dict[str, _Line[T]] = {}
        self._present = 0.0
        self._arrivals = 0
        self._last_served: dict[str, float] = {}

    def __len__(self) -> int:
        """How many wait."""
        return sum(len(line.entries) for line in self._lines.values())

    def waiting_of(self, key: str) -> int:
        """How many of one session wait."""
        line = self._lines.get(key)
        return len(line.entries) if line else 0

    def put(self, key: str, entry: T, *, priority: int = 0) -> None:
        """Let an entry wait.

        Args:
            key: Whose it is.
            entry: What waits; hashable by identity.
            priority: 0 to 9; this turn costs 1 / (1 + priority).
        """
        line = self._lines.get(key)
        if line is None:
            self._arrivals += 1
            start = max(self._present, self._last_served.pop(key, self._present))
            line = self._lines[key] = _Line(start, self._arrivals)
        line.entries.append((entry, priority))

    def take(self) -> T | None:
        """Hand out the next entry; None when nothing waits."""
        if not self._lines:
            return None
        key = min(self._lines, key=lambda k: (self._lines[k].counter, self._lines[k].arrival))
        line = self._lines[key]
        entry, priority = line.entries.popleft()
        self._present += 1.0 / len(self._lines)
        line.counter += 1.0 / (1 + priority)
        if not line.entries:
            self._retire(key, line)
        return entry

    def remove(self, key: str, entry: T) -> bool:
        """Take an entry out of the middle; False when it does not wait."""
        line = self._lines.get(key)
        if line is None:
            return False
        kept = deque((e, p) for e, p in line.entries if e is not entry)
        if len(kept) == len(line.entries):
            return False
        line.entries = kept
        if not kept:
            self._retire(key, line)
        return True

    def order(self) -> list[T]:
        """All entries in the order in which they will be handed out, were none to come."""
        heads = {
            key: (line.counter, line.arrival, list(line.entries))
            for key, line in self._lines.items()
        }
        ordered: list[T] = []
        while heads:
            key = min(heads, key=lambda k: heads[k][:2])
            counter, arrival, entries = heads.pop(key)
            entry, priority = entries[0]
            ordered.append(entry)
            if len(entries) > 1:
                heads[key] = (counter + 1.0 / (1 + priority), arrival, entries[1:])
        return ordered

    def _retire(self, key: str, line: _Line[T]) -> None:
        """Forget an empty line, but not that it has just had its turn."""
        del self._lines[key]
        self._last_served = {k: c for k, c in self._last_served.items() if c > self._present}
        if line.counter > self._present:
            self._last_served[key] = line.counter

"""Whose turn it is: stride scheduling over sessions, first come first served within one.

A class of thirty gets equal turns whatever one child submits. Every session has a counter that
grows with each of its turns; the lowest counter is next. A session that comes (back) starts at
the present time, which grows by the share of one turn per turn, so it can neither save up turns
nor starve those who wait. With equal priorities this is round robin
(C. Waldspurger, W. Weihl, "Stride Scheduling", 1995).

Sessions whose counters differ by less than one turn have an equal claim. Among them a worker may
prefer a job whose models it has loaded, but only so often that nobody is passed over for long.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

WINDOW = 8
"""Sessions among which a warm job is looked for, and how often one may be passed over."""


@dataclass
class _Line(Generic[T]):
    """The waiting entries of one session."""

    key: str
    counter: float
    arrival: int
    entries: deque[tuple[T, int]] = field(default_factory=deque)
    passed_over: int = 0

    @property
    def claim(self) -> tuple[float, int]:
        """The lowest is served first."""
        return (self.counter, self.arrival)


@dataclass(frozen=True)
class Turn(Generic[T]):
    """Who would be next.

    Attributes:
        key: Whose turn it is.
        entry: What waits.
        preferred: Whether it is one that the worker prefers.
    """

    key: str
    entry: T
    preferred: bool


@dataclass(frozen=True)
class Past(Generic[T]):
    """What waited before a restart; perhaps it had its turn.

    Attributes:
        key: Whose turn it was, or will be.
        entry: What waited.
        priority: See `Turns.put`.
        came: When, on any clock.
        had_turn: When, on the same clock; 0: it still waits.
    """

    key: str
    entry: T
    priority: int
    came: float
    had_turn: float


def _any(_: object) -> bool:
    return True


def _none(_: object) -> bool:
    return False


class Turns(Generic[T]):
    """Waiting entries, handed out in fair turns."""

    def __init__(self) -> None:
        """Nothing waits yet."""
        self._lines: dict[str, _Line[T]] = {}
        self._present = 0.0
        self._arrivals = 0
        self._count = 0
        self._last_served: dict[str, float] = {}

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    @property
    def session_count(self) -> int:
        """How many sessions have something waiting."""
        return len(self._lines)

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
        self._line(key).entries.append((entry, priority))
        self._count += 1

    def put_back(self, key: str, entry: T, *, priority: int = 0) -> None:
        """Let an entry that had its turn in vain wait before all others of its session."""
        line = self._line(key)
        line.entries.appendleft((entry, priority))
        line.counter -= 1.0 / (1 + priority)
        self._count += 1

    def replay(self, past: Iterable[Past[T]]) -> None:
        """Repeat what happened before, so that claims are what they were."""
        came = [(each.came, 0, each) for each in past]
        served = [(max(each.came, each.had_turn), 1, each) for _, _, each in came if each.had_turn]
        for _, is_turn, each in sorted(came + served, key=lambda step: step[:2]):
            if is_turn:
                self.grant(Turn(each.key, each.entry, False))
            else:
                self.put(each.key, each.entry, priority=each.priority)

    def take(self) -> T | None:
        """Hand out the next entry; None when nothing waits."""
        turn = self.find()
        if turn is None:
            return None
        self.grant(turn)
        return turn.entry

    def find(
        self, fits: Callable[[T], bool] = _any, prefers: Callable[[T], bool] = _none
    ) -> Turn[T] | None:
        """Tell who is next among those who fit; nothing changes until it is granted.

        Args:
            fits: Whether the worker that asks may do it.
            prefers: Whether it would rather do it than another of equal claim.
        """
        first: _Line[T] | None = None
        found: T | None = None
        seen = 0
        for line in sorted(self._lines.values(), key=lambda each: each.claim):
            if first is not None and (line.counter >= first.counter + 1 or seen >= WINDOW):
                break
            entry = next((e for e, _ in line.entries if fits(e)), None)
            if entry is None:
                continue
            if prefers(entry):
                return Turn(line.key, entry, True)
            if first is None:
                first, found = line, entry
            if line.passed_over >= WINDOW:
                break
            seen += 1
        return None if first is None or found is None else Turn(first.key, found, False)

    def grant(self, turn: Turn[T]) -> None:
        """Hand out what `find` found."""
        line = self._lines[turn.key]
        if turn.preferred:
            for other in self._lines.values():
                other.passed_over += other.claim < line.claim
        line.passed_over = 0
        priority = self._pull(line, turn.entry)
        self._present += 1.0 / len(self._lines)
        line.counter += 1.0 / (1 + priority)
        self._retire_if_empty(line)

    def remove(self, key: str, entry: T) -> bool:
        """Take an entry out of the middle; False when it does not wait."""
        line = self._lines.get(key)
        if line is None or all(e is not entry for e, _ in line.entries):
            return False
        self._pull(line, entry)
        self._retire_if_empty(line)
        return True

    def order(self) -> list[T]:
        """All entries in the order in which they will be handed out, were none to come."""
        heads = [
            (line.counter, line.arrival, 0, list(line.entries)) for line in self._lines.values()
        ]
        heapq.heapify(heads)
        ordered: list[T] = []
        while heads:
            counter, arrival, index, entries = heads[0]
            entry, priority = entries[index]
            ordered.append(entry)
            if index + 1 < len(entries):
                after = (counter + 1.0 / (1 + priority), arrival, index + 1, entries)
                heapq.heapreplace(heads, after)
            else:
                heapq.heappop(heads)
        return ordered

    def _line(self, key: str) -> _Line[T]:
        line = self._lines.get(key)
        if line is None:
            self._arrivals += 1
            start = max(self._present, self._last_served.pop(key, self._present))
            line = self._lines[key] = _Line(key, start, self._arrivals)
        return line

    def _pull(self, line: _Line[T], entry: T) -> int:
        """Take an entry out of its line; returns its priority."""
        index = next(n for n, (e, _) in enumerate(line.entries) if e is entry)
        _, priority = line.entries[index]
        del line.entries[index]
        self._count -= 1
        return priority

    def _retire_if_empty(self, line: _Line[T]) -> None:
        """Forget an empty line, but not that it has just had its turn."""
        if line.entries:
            return
        del self._lines[line.key]
        self._last_served = {k: c for k, c in self._last_served.items() if c > self._present}
        if line.counter > self._present:
            self._last_served[line.key] = line.counter

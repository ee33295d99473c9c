"""Who had how many turns of a queue, and how many were due to them, by the queue's own journal.

With each turn that is given, an equal part of it is due to every session that has a job waiting
just then. So who waits for nothing, such as somebody whose run was interrupted, is due nothing.
Turns are whole: they are counted while many wait, when one is a small part of what is due to each.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generation_service.queue.jetstream.documents import Documents
from generation_service.queue.jetstream.link import open_link
from generation_service.queue.jetstream.wire import unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from generation_service.queue.jetstream.access import NatsOptions

WHOLE_TURNS = 2.0
"""By so much a session may be off in any case: a turn is whole, and who comes back is last."""
MOST_PASSED = 3
"""So many turns a neighbour may have before one who waits: in turn, by warmth, after a death."""


@dataclass(frozen=True)
class Wait:
    """A job as it waited.

    Attributes:
        session: Whose it is.
        came: When it came, seconds since 1970.
        went: When it began, or ended without.
        begun: It had its turn.
    """

    session: str
    came: float
    went: float
    begun: bool


@dataclass(frozen=True)
class Share:
    """The turns of one session."""

    had: int
    due: float

    @property
    def lag(self) -> float:
        """Turns that it had more than were due; less than 0: fewer."""
        return self.had - self.due

    @property
    def is_within_a_fifth(self) -> bool:
        """Whether it had what was due, within 20 %."""
        return abs(self.lag) <= 0.2 * self.due

    @property
    def is_fair(self) -> bool:
        """Whether it had what was due, within 20 % or the turns that cannot be divided."""
        return self.is_within_a_fifth or abs(self.lag) <= WHOLE_TURNS


async def waits_of(options: NatsOptions) -> list[Wait]:
    """Read how the jobs of a deployment have waited."""
    async with open_link(options) as link:
        documents = await Documents(link, "jobs").all("job")
    jobs = [unpack(document.value) for document in documents.values()]
    return [
        Wait(
            job["job"]["owner"]["session"],
            job["queue_time"],
            job["start_time"] or job.get("end_time", float("inf")),
            bool(job["start_time"]),
        )
        for job in jobs
    ]


def shares_of(waits: Sequence[Wait], *, crowd: int) -> dict[str, Share]:
    """Count the turns that were given while at least `crowd` sessions waited."""
    had: Counter[str] = Counter()
    due: dict[str, float] = {}
    for turn in sorted((wait for wait in waits if wait.begun), key=lambda wait: wait.went):
        entitled = {turn.session, *_waiting(waits, turn.went)}
        if len(entitled) < crowd:
            continue
        had[turn.session] += 1
        for session in entitled:
            due[session] = due.get(session, 0.0) + 1 / len(entitled)
    return {session: Share(had[session], parts) for session, parts in due.items()}


def most_passed(waits: Sequence[Wait]) -> int:
    """Return how many turns any session had while another one waited for its next."""
    turns = sorted((wait.went, wait.session) for wait in waits if wait.begun)
    most = 0
    for session in {wait.session for wait in waits}:
        own = [time for time, whose in turns if whose == session]
        for came, went in _stretches(wait for wait in waits if wait.session == session):
            marks = [came, *(time for time in own if came < time < went), went]
            for last, coming in itertools.pairwise(marks):
                passed = Counter(whose for time, whose in turns if last < time < coming)
                most = max(most, *passed.values(), 0)
    return most


def _stretches(waits: Iterable[Wait]) -> list[tuple[float, float]]:
    """Return when one session had something waiting, without a gap in between."""
    found: list[tuple[float, float]] = []
    for wait in sorted(waits, key=lambda each: each.came):
        if found and wait.came <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], wait.went)
        else:
            found.append((wait.came, wait.went))
    return found


def _waiting(waits: Iterable[Wait], now: float) -> set[str]:
    return {wait.session for wait in waits if wait.came <= now <= wait.went}

"""Tells those who wait where they stand and for how long, from measured durations."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from generation_service.queue.jobs import Queued

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from generation_service.queue.durations import Durations
    from generation_service.queue.entry import Entry
    from generation_service.queue.seats import Seat

_WORTH_TELLING_SECONDS = 1.0
_WORTH_TELLING_SHARE = 0.2


def announce(
    order: Sequence[Entry],
    seats: Iterable[Seat],
    durations: Durations,
    *,
    new_only: bool = False,
) -> None:
    """Tell every waiting job where it stands, where that changed.

    Args:
        order: Who waits, in the order of their turns.
        seats: All workers.
        durations: What was measured.
        new_only: Tell only those who have not heard anything yet.
    """
    estimates = forecast(order, seats, durations)
    for position, (entry, estimate) in enumerate(zip(order, estimates, strict=True)):
        if entry.last is None or (not new_only and _worth_telling(entry, position, estimate)):
            entry.tell(Queued(position, estimate))


def forecast(
    order: Sequence[Entry], seats: Iterable[Seat], durations: Durations
) -> list[float | None]:
    """Seconds until each would begin; None where nothing was measured or nobody can do it.

    Plays the queue through: every job goes to the worker that is free first of those of its
    backend. Capabilities beyond the backend are left out; an estimate need not be that good.
    """
    free: dict[str, list[float]] = {}
    unknown: set[str] = set()
    for seat in seats:
        if not seat.is_usable:
            continue
        left = _left(seat, durations)
        if left is None:
            unknown.add(seat.driver.backend)
        heapq.heappush(free.setdefault(seat.driver.backend, []), left or 0.0)
    estimates: list[float | None] = []
    for entry in order:
        backend = entry.job.plan.backend
        times = free.get(backend)
        if not times:
            estimates.append(None)
            continue
        begin = times[0]
        known = backend not in unknown
        estimates.append(round(begin, 1) if known else None)
        own = durations.typical(entry.job.output_config, warm=True)
        if own is None:
            unknown.add(backend)
        heapq.heapreplace(times, begin + (own or 0.0))
    return estimates


def _left(seat: Seat, durations: Durations) -> float | None:
    """Seconds until a worker is free; None: nothing was measured yet."""
    if seat.running is None:
        return 0.0
    typical = durations.typical(seat.running.job.output_config, warm=True)
    return None if typical is None else max(0.0, typical - seat.running.running_seconds)


def _worth_telling(entry: Entry, position: int, estimate: float | None) -> bool:
    last = entry.last
    if not isinstance(last, Queued) or last.position != position:
        return True
    if estimate is None or last.estimate_seconds is None:
        return estimate != last.estimate_seconds
    change = abs(estimate - last.estimate_seconds)
    return change >= max(_WORTH_TELLING_SECONDS, _WORTH_TELLING_SHARE * last.estimate_seconds)

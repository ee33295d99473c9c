"""How long what took, as a picture: one bar for each piece of work, under a common clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.pages.look_view import moment_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]

MOST_BARS = 80
_SHORTEST = 0.002
"""Seconds; shorter work would be a picture of nothing but labels."""


@dataclass(frozen=True)
class Bar:
    """A piece of work.

    Attributes:
        item: The item that it led to.
        left: Where it begins, in percent of the whole.
        width: How long it took, in percent of the whole.
        seconds: How long it took.
    """

    item: Json
    left: float
    width: float
    seconds: float


def bars(items: Sequence[Json]) -> tuple[list[Bar], float]:
    """Return the work behind items, and how many seconds the whole took."""
    if not items:
        return [], 0.0
    begin = min(moment_of(item) for item in items)
    end = max(moment_of(item) for item in items)
    total = max((end - begin).total_seconds(), 0.001)
    found = []
    for item in items:
        took = item.get("run_duration", 0.0)
        if took < _SHORTEST or item["item_type"].startswith("pipeline_"):
            continue
        done = (moment_of(item) - begin).total_seconds()
        left = max(0.0, done - took) / total * 100
        found.append(Bar(item, round(left, 2), round(min(took / total * 100, 100 - left), 2), took))
    return found[:MOST_BARS], total

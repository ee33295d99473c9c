"""Which items of two lists belong together.

By index alone, one item put in front would change all others. So items are matched by what names
them, then by being equal, then by being alike, and last by standing between the same neighbours.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from tracker_service.export_workflow.documents import JsonValue

NAMING_KEYS: Final = ("id", "uuid", "key", "item_id", "execution_id", "number", "name")
"""Keys that may name an item, the first that does so in both lists counts."""
ALIKE: Final = 0.5
"""Share of equal entries from which on two items are the same one, edited."""
MAX_COMPARISONS: Final = 250_000
"""Pairs of items that are held against each other; beyond, only their places count."""

Pair = tuple[int, int]
"""Index before, index after."""


def matches(before: Sequence[JsonValue], after: Sequence[JsonValue]) -> list[Pair]:
    """Return which items belong together, each at most once, in the order before."""
    found = _Matching(before, after)
    named = _naming_key(before, after)
    if named is not None:
        found.take(_by_value(lambda item: item[named], found))
    found.take(_ends(before, after, found))
    found.take(_by_value(_content, found))
    found.take(_by_likeness(before, after, found))
    if named is None:
        found.take(_by_place(before, after, found))
    return sorted(found.pairs)


def moved(pairs: Sequence[Pair]) -> set[Pair]:
    """Return the fewest pairs that must have been moved, if the others kept their order.

    Args:
        pairs: In the order before.
    """
    # The longest run of ascending places after; patience sorting.
    tops: list[int] = []
    at: list[int] = []
    previous: list[int] = []
    for number, (_, index) in enumerate(pairs):
        place = bisect_left(tops, index)
        previous.append(at[place - 1] if place else -1)
        tops[place : place + 1] = [index]
        at[place : place + 1] = [number]
    kept: set[Pair] = set()
    number = at[-1] if at else -1
    while number >= 0:
        kept.add(pairs[number])
        number = previous[number]
    return set(pairs) - kept


class _Matching:
    """The pairs found so far, and what is still alone."""

    def __init__(self, before: Sequence[JsonValue], after: Sequence[JsonValue]) -> None:
        self.pairs: list[Pair] = []
        self.before = dict(enumerate(before))
        self.after = dict(enumerate(after))

    def take(self, pairs: Sequence[Pair]) -> None:
        for old, new in pairs:
            del self.before[old], self.after[new]
        self.pairs += pairs


def _naming_key(before: Sequence[JsonValue], after: Sequence[JsonValue]) -> str | None:
    """Return the key whose values name every item of both lists; None: there is none."""
    if not before or not after:
        return None
    for key in NAMING_KEYS:
        if all(_names_all(items, key) for items in (before, after)):
            return key
    return None


def _names_all(items: Sequence[JsonValue], key: str) -> bool:
    names = [item.get(key) if isinstance(item, dict) else None for item in items]
    return all(type(name) in (str, int) for name in names) and len(set(names)) == len(names)


def _content(item: JsonValue) -> str:
    return json.dumps(item, sort_keys=True, ensure_ascii=False)


def _ends(before: Sequence[JsonValue], after: Sequence[JsonValue], found: _Matching) -> list[Pair]:
    """Match what is equal at the beginning and at the end."""
    if found.pairs:
        return []
    olds, news = [_content(one) for one in before], [_content(one) for one in after]
    shorter = min(len(olds), len(news))
    head = next((i for i in range(shorter) if olds[i] != news[i]), shorter)
    rest = shorter - head
    tail = next((i for i in range(rest) if olds[-1 - i] != news[-1 - i]), rest)
    pairs = [(index, index) for index in range(head)]
    pairs += [(len(olds) - i, len(news) - i) for i in range(tail, 0, -1)]
    return pairs


def _by_value(value_of: Callable[[Any], Hashable], found: _Matching) -> list[Pair]:
    """Match items of the same value, the first with the first."""
    places: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for index, item in found.after.items():
        places[value_of(item)].append(index)
    pairs: list[Pair] = []
    for index, item in found.before.items():
        if there := places.get(value_of(item)):
            pairs.append((index, there.popleft()))
    return pairs


def _by_likeness(
    before: Sequence[JsonValue], after: Sequence[JsonValue], found: _Matching
) -> list[Pair]:
    """Match objects that have at least half of their entries in common, the most alike first."""
    if len(found.before) * len(found.after) > MAX_COMPARISONS:
        return []
    scored = [
        (-likeness, abs(old - new), old, new)
        for old in found.before
        for new in found.after
        if (likeness := _likeness(before[old], after[new])) >= ALIKE
    ]
    pairs: list[Pair] = []
    olds, news = set(found.before), set(found.after)
    for _, _, old, new in sorted(scored):
        if old in olds and new in news:
            olds.discard(old)
            news.discard(new)
            pairs.append((old, new))
    return pairs


def _likeness(old: JsonValue, new: JsonValue) -> float:
    """Return the share of equal entries of two objects, 0 to 1; 0 for anything else."""
    if not (isinstance(old, dict) and isinstance(new, dict) and old and new):
        return 0.0
    equal = sum(1 for key, value in old.items() if key in new and new[key] == value)
    return equal / max(len(old), len(new))


def _by_place(
    before: Sequence[JsonValue], after: Sequence[JsonValue], found: _Matching
) -> list[Pair]:
    """Match what stands behind the same neighbour, in order: values that were edited."""
    partners = dict(found.pairs)
    gaps_after: defaultdict[int, deque[int]] = defaultdict(deque)
    taken = {new: old for old, new in found.pairs}
    neighbour = -1
    for index in range(len(after)):
        neighbour = taken.get(index, neighbour)
        if index in found.after:
            gaps_after[neighbour].append(index)
    pairs: list[Pair] = []
    neighbour = -1
    for index in range(len(before)):
        if index in partners:
            neighbour = index
        elif gaps_after[neighbour] and _may_be(before[index], after[gaps_after[neighbour][0]]):
            pairs.append((index, gaps_after[neighbour].popleft()))
    return pairs


def _may_be(old: JsonValue, new: JsonValue) -> bool:
    """Tell whether one can have become the other by editing."""
    if isinstance(old, dict) and isinstance(new, dict):
        return not old or not new or not old.keys().isdisjoint(new)
    return isinstance(old, (dict, list)) == isinstance(new, (dict, list))

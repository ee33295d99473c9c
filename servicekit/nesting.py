"""How deep JSON values are nested: readers that recurse must not be led into the ground."""

from __future__ import annotations

MAX_DEPTH = 20
"""Deepest nesting of a value that comes from outside."""


def is_deeper_than(value: object, limit: int = MAX_DEPTH) -> bool:
    """Tell whether lists and objects stand in one another more than `limit` deep.

    Without recursion, and no further than it takes to know.
    """
    level = [value]
    for _ in range(limit + 1):
        containers = [one for one in level if isinstance(one, (dict, list))]
        if not containers:
            return False
        level = [
            child
            for one in containers
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    return True

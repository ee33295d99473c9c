"""How a place in data is written: `items[3].price`, `items[3]["unit.price"]`, `$` for the whole."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Step = str | int
"""A key of an object, or an index of a list."""

WHOLE: Final = "$"
_PLAIN: Final = re.compile(r"[^\W\d][\w-]*")


def path_text(steps: Sequence[Step]) -> str:
    """Write a path.

    Args:
        steps: From the outside to the inside; none: the whole data.

    Returns:
        Text that no other path has.
    """
    return _text(steps, lambda index: f"[{index}]")


def general_text(steps: Sequence[Step]) -> str:
    """Write a path without indexes, `items[].price`, which is the same for all items of a list."""
    return _text(steps, lambda _: "[]")


def _text(steps: Sequence[Step], index_text: Callable[[int], str]) -> str:
    parts: list[str] = []
    for step in steps:
        if isinstance(step, int):
            parts.append(index_text(step))
        elif _PLAIN.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f"[{json.dumps(step, ensure_ascii=False)}]")
    return "".join(parts) or WHOLE

"""Where in a JSON file each value stands.

The standard library reads JSON strictly but forgets where it found what. This second pass only
looks for places, and relies on the text being JSON: that keeps it short, where a parser of our own
(or YAML's, which refuses tabs and escaped emoji) would have to be as strict as the first.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field

Path = tuple[str | int, ...]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


@dataclass(frozen=True)
class Place:
    """A place in a file, line and column from 1; columns count characters."""

    line: int
    column: int


def place_of(text: str, offset: int) -> Place:
    """Return the place of the character at an offset."""
    before = text.rfind("\n", 0, offset)
    return Place(text.count("\n", 0, offset) + 1, offset - before)


@dataclass
class _Container:
    path: Path
    is_object: bool
    key: str | int = 0
    awaits_key: bool = False
    seen: set[str] = field(default_factory=set)


class Positions:
    """Places of all values and keys of one JSON text.

    Attributes:
        repeated_keys: Paths of keys that an object has more than once, with the repetition's place.
    """

    def __init__(self, text: str) -> None:
        """Find them; `text` must be JSON."""
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._values: dict[Path, int] = {}
        self._keys: dict[Path, int] = {}
        self.repeated_keys: list[tuple[Path, Place]] = []
        self._scan(text)

    def value(self, path: Path) -> Place:
        """Return where a value begins; of a path that is not there, where its parent does."""
        while path not in self._values:
            path = path[:-1]
        return self._place(self._values[path])

    def key(self, path: Path) -> Place:
        """Return where the key of a value stands, or the value itself in a list."""
        offset = self._keys.get(path)
        return self.value(path) if offset is None else self._place(offset)

    def _place(self, offset: int) -> Place:
        line = bisect_right(self._line_starts, offset)
        return Place(line, offset - self._line_starts[line - 1] + 1)

    def _scan(self, text: str) -> None:
        stack: list[_Container] = []
        for match in _TOKEN.finditer(text):
            token, top = match.group(), stack[-1] if stack else None
            if token in "}]":
                stack.pop()
            elif token == "," and top is not None:
                if isinstance(top.key, int):
                    top.key += 1
                top.awaits_key = top.is_object
            elif token == ":":
                continue
            elif top is not None and top.awaits_key:
                self._take_key(top, token, match.start())
            else:
                path = () if top is None else (*top.path, top.key)
                self._values[path] = match.start()
                if token in "{[":
                    is_object = token == "{"
                    stack.append(_Container(path, is_object, awaits_key=is_object))

    def _take_key(self, top: _Container, token: str, offset: int) -> None:
        key: str = json.loads(token)
        path = (*top.path, key)
        if key in top.seen:
            self.repeated_keys.append((path, self._place(offset)))
        top.seen.add(key)
        top.key, top.awaits_key = key, False
        self._keys[path] = offset


def field_name(path: Path) -> str:
    """Write a path for people: `control_flow.chunks[1]`."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name

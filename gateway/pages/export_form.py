"""Any JSON data as a form, and the form as data again: what nobody touched stays as it was.

A field is named by its JSON Pointer (RFC 6901): `field:/executions/0/status`. Others say what is
to go (`remove`) and what is to come: `add:` to a list, `name:` with `value:` to an object.
"""

from __future__ import annotations

import copy
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from servicekit.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["object", "list", "text", "number", "boolean", "nothing"]

MOST_FIELDS = 1500
"""Nobody edits more fields in a form; larger data are shown as JSON text."""
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_LONG_TEXT = 60
_LONGEST_INDEX = 9


@dataclass(frozen=True)
class Node:
    """A value of the data as the form shows it.

    Attributes:
        pointer: Where it is.
        name: Its key, or its number from 1 in a list.
        kind: What it is.
        text: A single value as it is typed.
        children: The values in it.
    """

    pointer: str
    name: str
    kind: Kind
    text: str = ""
    children: tuple[Node, ...] = ()

    @property
    def is_single(self) -> bool:
        """Whether there is nothing in it."""
        return self.kind not in ("object", "list")

    @property
    def hint(self) -> str:
        """The first words in an object, by which it is told from its neighbours."""
        words = (child.text for child in self.children if child.kind == "text" and child.text)
        return next(words, "")[:_LONG_TEXT] if self.kind == "object" else ""

    @property
    def is_long(self) -> bool:
        """Whether its text needs more than a line."""
        return self.kind == "text" and (
            len(self.text) > _LONG_TEXT or "\n" in self.text or "\r" in self.text
        )

    @property
    def takes_values(self) -> bool:
        """Whether a single value can be added to the list that it is."""
        return self.kind == "list" and all(child.is_single for child in self.children)

    @property
    def path(self) -> str:
        """Where it is, for people: `executions 1, inputs 2`."""
        parts = self.pointer.split("/")[1:]
        words = [str(int(part) + 1) if _is_index(part) else _unescaped(part) for part in parts]
        return ", ".join(words)


def tree(data: Any, pointer: str = "", name: str = "") -> Node:
    """Return data as the form shows them."""
    if isinstance(data, dict):
        children = tuple(
            tree(value, f"{pointer}/{_escaped(key)}", key) for key, value in data.items()
        )
        return Node(pointer, name, "object", children=children)
    if isinstance(data, list):
        children = tuple(
            tree(value, f"{pointer}/{place}", str(place + 1)) for place, value in enumerate(data)
        )
        return Node(pointer, name, "list", children=children)
    return Node(pointer, name, _kind(data), _typed(data))


def field_count(data: Any) -> int:
    """Return how many single values data have."""
    if isinstance(data, dict):
        return sum(map(field_count, data.values()))
    return sum(map(field_count, data)) if isinstance(data, list) else 1


def edited(data: Any, fields: Iterable[tuple[str, str]]) -> Any:
    """Return data with what a person changed.

    Args:
        data: The data that the form showed.
        fields: Names and values of the form, in its order; others than ours are passed over.

    Raises:
        InvalidArgumentError: NUMBER_INVALID, FIELD_UNKNOWN, NAME_TAKEN or DOCUMENT_INVALID.
    """
    changed = copy.deepcopy(data)
    removed: list[str] = []
    names: dict[str, str] = {}
    for name, value in fields:
        mark, _, pointer = name.partition(":")
        if name == "json":
            return _document(value)
        if name == "remove":
            removed.append(value)
        elif mark == "field":
            _put(changed, pointer, value)
        elif mark == "add" and value.strip():
            _add(changed, pointer, value)
        elif mark == "name":
            names[pointer] = value.strip()
        elif mark == "value" and names.get(pointer):
            _name(changed, pointer, names[pointer], value)
    for pointer in sorted(set(removed), key=_place, reverse=True):  # the last of a list first
        parent, key = _at(changed, pointer)
        del parent[key]
    return changed


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidArgumentError("DOCUMENT_INVALID", "This is no JSON.", field="json") from None


def _put(data: Any, pointer: str, text: str) -> None:
    parent, key = _at(data, pointer)
    before = parent[key]
    kind = _kind(before)
    if _lines(text) == _lines(_typed(before)) or isinstance(before, dict | list):
        return
    if kind == "number":
        parent[key] = _number(text, pointer)
    elif kind == "boolean":
        parent[key] = text == "true"
    else:
        parent[key] = _lines(text)


def _add(data: Any, pointer: str, text: str) -> None:
    found = _found(data, pointer)
    if not isinstance(found, list):
        raise _unknown(pointer)
    are_numbers = bool(found) and all(_kind(value) == "number" for value in found)
    found.append(_number(text, pointer) if are_numbers else _lines(text))


def _name(data: Any, pointer: str, name: str, text: str) -> None:
    found = _found(data, pointer)
    if not isinstance(found, dict):
        raise _unknown(pointer)
    if name in found:
        raise InvalidArgumentError(
            "NAME_TAKEN", "There is a field of this name already.", field=f"{pointer}/{name}"
        )
    is_number = _PLAIN_NUMBER.fullmatch(text.strip())
    found[name] = _number(text, pointer) if is_number else _lines(text)


def _at(data: Any, pointer: str) -> tuple[Any, Any]:
    """Return what holds a value, and its key or index there."""
    above, slash, last = pointer.rpartition("/")
    parent = _found(data, above) if slash else None
    if isinstance(parent, dict) and (key := _unescaped(last)) in parent:
        return parent, key
    if isinstance(parent, list) and _is_index(last) and int(last) < len(parent):
        return parent, int(last)
    raise _unknown(pointer)


def _found(data: Any, pointer: str) -> Any:
    if not pointer:
        return data
    parent, key = _at(data, pointer)
    return parent[key]


def _unknown(pointer: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "FIELD_UNKNOWN", "There is no such field in these data.", field=pointer[:200]
    )


def _place(pointer: str) -> list[tuple[int, str]]:
    """Sort by place: numbers by value, and what is in something after it."""
    return [(int(part) if _is_index(part) else 0, part) for part in pointer.split("/")]


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) < _LONGEST_INDEX


def _kind(value: Any) -> Kind:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "text"


def _typed(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _lines(text: str) -> str:
    """A text as it was meant: forms end their lines in two characters."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _number(text: str, pointer: str) -> int | float:
    typed = text.strip()
    if "." not in typed:
        typed = typed.replace(",", ".")  # as German writes it
    for read in (int, float):
        try:
            number = read(typed)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    raise InvalidArgumentError("NUMBER_INVALID", "Write a number here.", field=pointer[:200])


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")

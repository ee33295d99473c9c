"""Data as JSON: what a workflow takes in, how it is written down, and what counts as a field.

Data come from anybody and are compared, shown and put into files, so their size, depth and number
of fields are bounded before anything looks at them. References among the data are never followed,
so cycles of ids need no care.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

from servicekit.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

JsonValue = Any
"""A JSON value as Python reads it: dict, list, str, int, float, bool or None."""

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 64
MAX_FIELDS: Final = 20_000
MAX_DIGITS: Final = 400
"""Digits of an integer; longer ones are no numbers to anybody else."""


def read_document(data: bytes, field: str) -> JsonValue:
    """Parse data that come from outside.

    Args:
        data: JSON text in UTF-8.
        field: Where it stood in the request, for the message.

    Returns:
        An object or a list.

    Raises:
        InvalidArgumentError: DOCUMENT_INVALID, DOCUMENT_TOO_LARGE, DOCUMENT_TOO_DEEP or
            TOO_MANY_FIELDS.
    """
    if len(data) > MAX_BYTES:
        raise _refused("DOCUMENT_TOO_LARGE", field, f"has {len(data)} bytes; 1 MiB is the limit")
    _check_depth(data, field)
    try:
        value = json.loads(data, parse_constant=_no_constant, parse_int=_int, parse_float=_float)
        dump(value).encode()
    except (ValueError, UnicodeError) as exc:
        # Without the parser's words, which may quote the data.
        where = f" near byte {exc.pos}" if isinstance(exc, json.JSONDecodeError) else ""
        raise _refused("DOCUMENT_INVALID", field, f"is no valid JSON text{where}") from exc
    if not isinstance(value, (dict, list)):
        raise _refused("DOCUMENT_INVALID", field, "must be an object or a list")
    if count_fields(value) > MAX_FIELDS:
        raise _refused("TOO_MANY_FIELDS", field, f"has over {MAX_FIELDS} fields; choose fewer")
    return value


def check_document(value: JsonValue, field: str) -> None:
    """Hold data that were made here against the limits.

    Raises:
        InvalidArgumentError: As `read_document`.
    """
    read_document(dump(value).encode("utf-8", "surrogatepass"), field)


def dump(value: JsonValue) -> str:
    """Return data as JSON text: unescaped, without spaces, keys in their order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def load(text: str) -> JsonValue:
    """Read what `dump` wrote."""
    return json.loads(text)


def count_fields(value: JsonValue) -> int:
    """Return the number of fields: values that are no object or list, and empty ones of these."""
    return sum(1 for _ in _leaves(value))


def _leaves(value: JsonValue) -> Iterator[JsonValue]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        children = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        if children:
            waiting.extend(children)
        elif one is not value or not isinstance(one, (dict, list)):
            yield one


def _check_depth(data: bytes, field: str) -> None:
    """Refuse what is nested too deep before a parser recurses into it."""
    depth = 0
    for token in _TOKENS.finditer(data):
        depth += _DEPTHS.get(token[0], 0)
        if depth > MAX_DEPTH:
            raise _refused("DOCUMENT_TOO_DEEP", field, f"is nested deeper than {MAX_DEPTH} levels")


# A text without an end is one token, too; or each of its quotes would be looked at as a beginning.
_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_DEPTHS: Final = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _int(literal: str) -> int:
    if len(literal) > MAX_DIGITS:
        raise ValueError("an integer is too long")
    return int(literal)


def _float(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _refused(reason: str, field: str, what: str) -> InvalidArgumentError:
    return InvalidArgumentError(reason, f"`{field}` {what}.", field=field)

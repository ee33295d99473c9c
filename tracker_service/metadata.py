"""Reading the metadata of items: free JSON objects that come from anywhere.

They are stored as the text that was received, so that 64-bit seeds and the order of keys survive.
They are parsed once, here, to be sure that every reader will be able to.
"""

from __future__ import annotations

import json
import math
import re
import sys
from typing import Any, Final

from pydantic_core import from_json

from tracker_service.items import Refusal

MAX_METADATA_BYTES: Final = 1024 * 1024
MAX_METADATA_DEPTH: Final = 20

# Such literals may overflow a double and come back as infinity, which JSON cannot say.
# Two patterns, since one that begins with a set of characters is searched several times faster.
_HUGE_EXPONENT: Final = re.compile(r"[0-9][eE]\+?[0-9]{3}")
_HUGE_DIGITS: Final = 300
_HUGE_INTEGER: Final = re.compile(rf"[0-9]{{{_HUGE_DIGITS}}}")


def check_metadata(data: bytes) -> dict[str, Any]:
    """Parse the metadata of an item that arrives.

    Args:
        data: JSON text; empty means `{}`.

    Returns:
        The object.

    Raises:
        Refusal: METADATA_INVALID: no JSON object, too large, too deep, or not readable by all.
    """
    if not data:
        return {}
    if len(data) > MAX_METADATA_BYTES:
        raise _invalid("is over 1 MiB; store large values as media and refer to them")
    try:
        value = from_json(data, allow_inf_nan=False, cache_strings="keys")
    except ValueError as exc:
        # The parser's message may quote the text, so it is not passed on.
        raise _invalid("is no valid JSON") from exc
    if not isinstance(value, dict):
        raise _invalid("must be a JSON object")
    # A cheap upper bound of the depth spares nearly every item the walk.
    if data.count(b"{") + data.count(b"[") > MAX_METADATA_DEPTH and _depth(value) > 20:
        raise _invalid("is nested deeper than 20 levels")
    return value


def read_metadata(text: str) -> dict[str, Any]:
    """Parse metadata that was checked before; empty text is `{}`."""
    if not text:
        return {}
    value: dict[str, Any] = from_json(text, allow_inf_nan=False)
    return value


def read_finite_metadata(text: str) -> dict[str, Any]:
    """Parse checked metadata for writing JSON: numbers beyond a double become its largest."""
    if not _has_huge_number(text):
        return read_metadata(text)
    value: dict[str, Any] = json.loads(text, parse_float=_finite)
    return value


def is_plain(text: str) -> bool:
    """Tell whether metadata stand on one line, unescaped, with numbers that every reader knows."""
    return not ("\n" in text or "\r" in text or "\\u" in text or _has_huge_number(text))


def _has_huge_number(text: str) -> bool:
    if _HUGE_EXPONENT.search(text) is not None:
        return True
    return len(text) >= _HUGE_DIGITS and _HUGE_INTEGER.search(text) is not None


def _finite(literal: str) -> float:
    value = float(literal)
    return value if math.isfinite(value) else math.copysign(sys.float_info.max, value)


def is_withheld(text: str) -> bool:
    """Tell whether metadata mark content that a learner must not see."""
    # Escapes could spell the key in other ways than plain text, so only a hint saves the parse.
    if "withheld" not in text and "\\u" not in text:
        return False
    return read_metadata(text).get("withheld") is True


def text_of(metadata: dict[str, Any], key: str, limit: int = 256) -> str:
    """Return `metadata[key]` if it is text, cut to `limit` code points; else empty."""
    value = metadata.get(key)
    return storable(value[:limit]) if isinstance(value, str) else ""


def storable(text: str) -> str:
    """Return `text` with U+FFFD for U+0000, which PostgreSQL cannot hold in a text."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _depth(value: object) -> int:
    """Return the levels of nesting, without recursion; stops one past the limit."""
    depth = 0
    level = [value]
    while level and depth <= MAX_METADATA_DEPTH:
        containers = [one for one in level if isinstance(one, (dict, list))]
        if not containers:
            return depth
        depth += 1
        level = [
            child
            for one in containers
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


def _invalid(what: str) -> Refusal:
    return Refusal("METADATA_INVALID", f"`metadata_json` {what}.")

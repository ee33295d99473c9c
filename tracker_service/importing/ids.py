"""Ids for items that came without one: the same again at every import.

They look like UUIDv7, because a database may keep items by the time that is in it.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Final

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NOT_IN_ID: Final = re.compile(r"[^A-Za-z0-9._:\-]")
MAX_ID: Final = 64


def is_item_id(text: object) -> bool:
    """Tell whether `text` may stay the id of an item."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def derived_id(time_us: int, *parts: object) -> str:
    """Return a UUIDv7 of a time and whatever else makes an item that one item.

    Args:
        time_us: Microseconds since 1970 UTC.
        parts: The same parts give the same id.
    """
    digest = hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).digest()
    milliseconds = max(time_us // 1000, 0) & (2**48 - 1)
    data = bytearray(milliseconds.to_bytes(6, "big") + digest[:10])
    data[6] = 0x70 | (data[6] & 0x0F)
    data[8] = 0x80 | (data[8] & 0x3F)
    return str(uuid.UUID(bytes=bytes(data)))


def execution_id_of(text: str) -> str:
    """Return `text` as the id of an execution: what may not stand in one is replaced."""
    cleaned = _NOT_IN_ID.sub("_", text.strip())
    if len(cleaned) > MAX_ID or cleaned != text:
        cleaned = f"{cleaned[: MAX_ID - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return cleaned

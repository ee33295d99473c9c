"""Page tokens and cursors: places in a list, as text that callers keep but need not read.

They hold nothing secret and grant nothing, since every page checks again who asks; so they are not
signed. They are bound to the filters they were made for, because a token used with others would
skip executions in silence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

MAX_TOKEN_LENGTH = 1024


def encode_token(kind: str, scope: object, *values: int) -> str:
    """Make a token.

    Args:
        kind: What it is for; another kind's decoder refuses it.
        scope: The filters it is bound to; compared by its `repr`.
        values: The place.

    Returns:
        ASCII text that is safe in URLs.
    """
    text = json.dumps([kind, _digest(scope), *values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_token(kind: str, scope: object, token: str, count: int) -> tuple[int, ...]:
    """Read a token.

    Args:
        kind: As given to `encode_token`.
        scope: Likewise.
        token: What a caller sent.
        count: How many values it must hold.

    Returns:
        The values, each between -2^63 and 2^63.

    Raises:
        ValueError: It is not one of ours, or was made for something else.
    """
    if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
        raise ValueError("not a token")
    try:
        decoded = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        parts: Any = json.loads(decoded)
    except (binascii.Error, RecursionError, UnicodeDecodeError) as exc:
        raise ValueError("not a token") from exc
    if not isinstance(parts, list) or parts[:2] != [kind, _digest(scope)]:
        raise ValueError("made for something else")
    values = parts[2:]
    if len(values) != count or not all(
        type(value) is int and -(2**63) <= value < 2**63 for value in values
    ):
        raise ValueError("not a token")
    return tuple(values)


def _digest(scope: object) -> str:
    return hashlib.sha256(repr(scope).encode("utf-8", "surrogatepass")).hexdigest()[:16]

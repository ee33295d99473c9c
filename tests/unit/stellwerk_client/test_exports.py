"""Data as the client hands them in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from servicekit.errors import Code
from stellwerk_client.errors import StellwerkError
from stellwerk_client.exports import MAX_DOCUMENT_BYTES, document_json

CIRCLE: dict[str, Any] = {}
CIRCLE["self"] = [CIRCLE]


def test_data_stay_what_they_are() -> None:
    """Texts of any script and numbers of any length come through, and what just fits."""
    data = {"größe": "🌼\0", "seed": 2**64 + 1, "a.b": [None, True]}
    assert json.loads(document_json(data)) == data
    assert len(document_json(["x" * (MAX_DOCUMENT_BYTES - 4)])) == MAX_DOCUMENT_BYTES


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (CIRCLE, "DOCUMENT_INVALID"),
        ({"a": float("nan")}, "DOCUMENT_INVALID"),
        ({"a": {1, 2}}, "DOCUMENT_INVALID"),
        ({"a": "\ud800"}, "DOCUMENT_INVALID"),
        (["x" * MAX_DOCUMENT_BYTES], "DOCUMENT_TOO_LARGE"),
    ],
)
def test_what_cannot_be_sent_is_refused_here(data: Any, reason: str) -> None:
    """Data that hold themselves, are no JSON or too large fail as the tracker would refuse them."""
    with pytest.raises(StellwerkError) as raised:
        document_json(data)
    assert (raised.value.code, raised.value.reason) == (Code.INVALID_ARGUMENT, reason)

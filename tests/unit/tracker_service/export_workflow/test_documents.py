"""What data a workflow takes in."""

from __future__ import annotations

import json

import pytest

from servicekit.errors import InvalidArgumentError
from tracker_service.export_workflow.documents import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_FIELDS,
    count_fields,
    read_document,
)


def nested(depth: int) -> bytes:
    """Return lists in lists."""
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "DOCUMENT_INVALID"),
        (b"{", "DOCUMENT_INVALID"),
        (b'"text"', "DOCUMENT_INVALID"),
        (b"null", "DOCUMENT_INVALID"),
        (b'{"a": NaN}', "DOCUMENT_INVALID"),
        (b'{"a": 1e999}', "DOCUMENT_INVALID"),
        (b'{"a": ' + b"9" * 500 + b"}", "DOCUMENT_INVALID"),
        (b'["\\ud800"]', "DOCUMENT_INVALID"),
        (b'["\xff"]', "DOCUMENT_INVALID"),
        (nested(MAX_DEPTH + 1), "DOCUMENT_TOO_DEEP"),
        (nested(200), "DOCUMENT_TOO_DEEP"),
        (nested(400_000), "DOCUMENT_TOO_DEEP"),
        (b'["' + b'\\"' * 500_000, "DOCUMENT_INVALID"),
        (b"[" + b" " * 10_000_000 + b"]", "DOCUMENT_TOO_LARGE"),
        (json.dumps([0] * (MAX_FIELDS + 1)).encode(), "TOO_MANY_FIELDS"),
    ],
)
def test_what_cannot_be_worked_with_is_refused(data: bytes, reason: str) -> None:
    """Faulty, huge, deep and endless data are refused with their reason, naming the field."""
    with pytest.raises(InvalidArgumentError) as raised:
        read_document(data, "data_json")
    assert raised.value.reason == reason
    assert raised.value.violations[0][0] == "data_json"


def test_what_just_fits_is_taken() -> None:
    """Data at the limits of depth, size and number of fields are taken as they are."""
    assert read_document(nested(MAX_DEPTH), "d") == json.loads(nested(MAX_DEPTH))
    text = json.dumps({"t": "x" * (MAX_BYTES - len('{"t": ""}'))}).encode()
    assert len(text) == MAX_BYTES
    assert len(read_document(text, "d")["t"]) == MAX_BYTES - 9
    assert len(read_document(json.dumps([0] * MAX_FIELDS).encode(), "d")) == MAX_FIELDS


def test_brackets_in_texts_are_no_depth() -> None:
    """A text full of brackets and escaped quotes nests nothing."""
    data = ['"' + "[{" * 500, "\\", '\\"[']
    assert read_document(json.dumps(data).encode(), "d") == data


def test_exact_numbers_survive() -> None:
    """Seeds of 64 bits and more keep every digit."""
    seed = 18_446_744_073_709_551_615
    assert read_document(json.dumps({"seed": seed}).encode(), "d") == {"seed": seed}


def test_fields_are_values() -> None:
    """What is no object or list counts one, and so does an empty one inside."""
    assert count_fields({"a": 1, "b": [1, 2, {}], "c": {"d": None}}) == 5
    assert count_fields({}) == 0

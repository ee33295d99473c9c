"""Reading metadata that may come from anywhere."""

from __future__ import annotations

import json

import pytest

from tracker_service.items import Refusal
from tracker_service.metadata import (
    MAX_METADATA_BYTES,
    check_metadata,
    is_withheld,
    read_finite_metadata,
)


def nested(depth: int) -> bytes:
    """Return an object of so many levels."""
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"null",
        b"1",
        b"{",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        nested(21),
        nested(5000),
        b'{"a":"' + b"x" * MAX_METADATA_BYTES + b'"}',
    ],
)
def test_what_not_every_reader_can_read_is_refused(data: bytes) -> None:
    """Broken JSON, other values than objects, and too large or deep ones are METADATA_INVALID."""
    with pytest.raises(Refusal) as raised:
        check_metadata(data)
    assert raised.value.reason == "METADATA_INVALID"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" {} ",
        b'{"seed":18446744073709551615}',
        nested(20),
        json.dumps({"many": [{"x": [1]}] * 500}).encode(),
    ],
)
def test_readable_objects_pass(data: bytes) -> None:
    """Objects within the limits pass, also those with many brackets side by side."""
    assert check_metadata(data) == json.loads(data or b"{}")


@pytest.mark.parametrize("literal", ["1e999", "-1E+400", "9" * 400 + ".5"])
def test_numbers_beyond_a_double_stay_numbers(literal: str) -> None:
    """A literal that overflows can still be written as JSON."""
    text = f'{{"a":{literal}}}'
    check_metadata(text.encode())
    json.dumps(read_finite_metadata(text), allow_nan=False)


@pytest.mark.parametrize(
    ("text", "withheld"),
    [
        ("", False),
        ("{}", False),
        ('{"withheld":true}', True),
        ('{"withheld": false}', False),
        ('{"withheld": "true"}', False),
        ('{"a": {"withheld": true}}', False),
        ('{"\\u0077ithheld": true}', True),
    ],
)
def test_withheld_is_a_flag_of_the_object_itself(text: str, withheld: bool) -> None:
    """Only `true` at the top counts, however the key is spelled."""
    assert is_withheld(text) is withheld

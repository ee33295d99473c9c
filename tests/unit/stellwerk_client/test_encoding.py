"""Whatever a caller hands over becomes an item, exactly if JSON and the contract can hold it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Unpack

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.common.v1 import types_pb2
from stellwerk.tracker.v1 import execution_pb2, tracker_service_pb2
from stellwerk_client.recorder.encoding import (
    MAX_TEXT_BYTES,
    encode_item,
    metadata_bytes,
    nanoseconds_of,
)

if TYPE_CHECKING:
    from stellwerk_client.recorder.details import ItemDetails

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def encoded(**details: Unpack[ItemDetails]) -> execution_pb2.ExecutionItem:
    data = encode_item("e", 1, 1, 1, "warning", details)
    (item,) = tracker_service_pb2.RecordItemsRequest.FromString(data).items
    return item


@given(st.dictionaries(st.text(), JSON, max_size=6))
def test_metadata_stays_exact(metadata: dict[str, Any]) -> None:
    """Every JSON object comes out as it went in, 64-bit seeds included."""
    assert json.loads(metadata_bytes(metadata) or b"{}") == metadata


def test_what_json_does_not_know_becomes_text_or_stays_a_number() -> None:
    """Huge numbers stay exact; times, sets and half characters become something readable."""
    metadata = {
        "huge": 2**70,
        "half": "a\ud800b",
        "set": {1},
        "time": datetime(2026, 1, 2, tzinfo=UTC),
    }
    assert json.loads(metadata_bytes(metadata)) == {
        "huge": 2**70,
        "half": "a?b",
        "set": [1],
        "time": "2026-01-02 00:00:00+00:00",
    }


def test_metadata_that_cannot_be_written_says_so() -> None:
    """An object that contains itself leaves a remark instead of an exception."""
    circle: dict[str, Any] = {}
    circle["self"] = circle
    assert "metadata_unreadable" in json.loads(metadata_bytes(circle))["recorder"]


def test_metadata_over_the_limit_is_replaced_by_its_hash() -> None:
    """Metadata over 1 MiB leaves its size and hash."""
    remark = json.loads(metadata_bytes({"text": "x" * MAX_TEXT_BYTES}))["recorder"]
    assert remark["metadata_too_large_bytes"] > MAX_TEXT_BYTES
    assert len(remark["metadata_sha256"]) == 64


def test_content_over_the_limit_is_cut_at_a_character() -> None:
    """A text over 1 MiB keeps its beginning, and no half character."""
    item = encoded(content="ä" * MAX_TEXT_BYTES)
    assert item.content == "ä" * (MAX_TEXT_BYTES // 2)


def test_half_characters_do_not_stop_an_item() -> None:
    """A text with a lone surrogate is recorded with a question mark in its place."""
    item = encoded(content="a\udc00b", model_used="m\ud800")
    assert (item.content, item.item_type, item.model_used) == ("a?b", "warning", "m?")


def test_times_and_durations_are_exact_to_the_microsecond() -> None:
    """The producer's clock is kept in microseconds, a duration in seconds and nanoseconds."""
    moment = datetime.fromtimestamp(1_790_000_000, UTC) + timedelta(microseconds=123_456)
    item = encoded(run_seconds=61.25, media_type="text", occur_time=moment)
    assert (item.occur_time.seconds, item.occur_time.nanos) == (1_790_000_000, 123_456_000)
    assert item.media_type == types_pb2.MEDIA_TYPE_TEXT
    assert item.run_duration.ToTimedelta() == timedelta(seconds=61.25)
    assert not encoded().HasField("run_duration")
    berlin = datetime(2026, 1, 1, 1, 0, 0, 7, tzinfo=timezone(timedelta(hours=1)))
    assert nanoseconds_of(berlin) == 1_767_225_600_000_007_000


def test_empty_content_differs_from_none() -> None:
    """An empty text is a text; None is none."""
    assert encoded(content="").HasField("content")
    assert not encoded().HasField("content")

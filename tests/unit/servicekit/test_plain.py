"""The JSON form of events, which scripts rely on."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.plain import enum_word, plain_event, plain_message
from stellwerk.common.v1.types_pb2 import (
    MEDIA_TYPE_THREE_D,
    SAFETY_LEVEL_KIDS,
    LocalizedText,
    SafetyLevel,
)
from stellwerk.orchestrator.v1.event_pb2 import (
    ContentBlocked,
    ExecutionEvent,
    ItemRecorded,
    StageFinished,
    StateChanged,
)
from stellwerk.safety.v1.verdict_pb2 import CATEGORY_VIOLENCE
from stellwerk.tracker.v1.execution_pb2 import EXECUTION_STATE_COMPLETED, ExecutionItem

BIG_SEED = 2**64 - 1


def test_event_names_its_execution_and_what_happened() -> None:
    """The envelope is flat, numbers are numbers, and the words are short."""
    event = ExecutionEvent(
        execution_id="x",
        epoch=1,
        sequence_number=2**40,
        event_time=Timestamp(seconds=0),
        state_changed=StateChanged(state=EXECUTION_STATE_COMPLETED),
    )
    assert plain_event(event) == {
        "execution_id": "x",
        "event": "state_changed",
        "epoch": 1,
        "sequence_number": 2**40,
        "time": "1970-01-01T00:00:00Z",
        "state_changed": {"state": "completed"},
    }


def test_event_of_a_newer_server_is_unknown() -> None:
    """An event without a known content keeps its envelope."""
    assert plain_event(ExecutionEvent(execution_id="x"))["event"] == "unknown"


def test_item_shows_its_metadata_with_exact_numbers() -> None:
    """JSON text becomes JSON, a 64-bit seed stays exact, media types read as in the record."""
    item = ExecutionItem(
        item_id="i", media_type=MEDIA_TYPE_THREE_D, metadata_json=b'{"seed": %d}' % BIG_SEED
    )
    assert plain_message(ItemRecorded(item=item)) == {
        "item": {"item_id": "i", "media_type": "3d", "metadata": {"seed": BIG_SEED}}
    }


def test_durations_are_seconds() -> None:
    """A duration is a number of seconds."""
    finished = StageFinished(stage=2, run_duration=Duration(seconds=1, nanos=500_000_000))
    assert plain_message(finished) == {"stage": 2, "run_duration": 1.5}


def test_lists_and_languages_are_plain() -> None:
    """Lists of enums are words, a text in several languages is one object."""
    blocked = ContentBlocked(
        stage=1,
        categories=[CATEGORY_VIOLENCE],
        message=LocalizedText(texts={"de": "Nein", "en": "No"}),
    )
    assert plain_message(blocked) == {
        "stage": 1,
        "categories": ["violence"],
        "message": {"de": "Nein", "en": "No"},
    }


def test_enum_values_lose_their_prefix() -> None:
    """Known values are words, unknown ones their number."""
    assert enum_word(SafetyLevel.DESCRIPTOR, SAFETY_LEVEL_KIDS) == "kids"
    assert enum_word(SafetyLevel.DESCRIPTOR, 77) == "77"

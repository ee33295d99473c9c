"""Enums, times and file references on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from orchestrator.model import (
    Direction,
    ExecutionState,
    MediaFile,
    OutputState,
    Phase,
    SafetyLevel,
)
from stellwerk.common.v1 import types_pb2
from stellwerk.orchestrator.v1 import event_pb2
from stellwerk.safety.v1 import safety_service_pb2 as safety_pb2
from stellwerk.tracker.v1 import execution_pb2
from stellwerk_client.recorder.encoding import nanoseconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LEVELS = {
    SafetyLevel.KIDS: types_pb2.SAFETY_LEVEL_KIDS,
    SafetyLevel.YOUTH: types_pb2.SAFETY_LEVEL_YOUTH,
    SafetyLevel.ADULT: types_pb2.SAFETY_LEVEL_ADULT,
    SafetyLevel.OFF: types_pb2.SAFETY_LEVEL_OFF,
}
DIRECTIONS = {
    Direction.INPUT: safety_pb2.DIRECTION_INPUT,
    Direction.OUTPUT: safety_pb2.DIRECTION_OUTPUT,
}
MEDIA_TYPES = {
    "": types_pb2.MEDIA_TYPE_UNSPECIFIED,
    "text": types_pb2.MEDIA_TYPE_TEXT,
    "image": types_pb2.MEDIA_TYPE_IMAGE,
    "audio": types_pb2.MEDIA_TYPE_AUDIO,
    "music": types_pb2.MEDIA_TYPE_MUSIC,
    "video": types_pb2.MEDIA_TYPE_VIDEO,
    "3d": types_pb2.MEDIA_TYPE_THREE_D,
    "metadata": types_pb2.MEDIA_TYPE_METADATA,
}
STATES = {
    state: execution_pb2.ExecutionState.Value(f"EXECUTION_STATE_{state.name}")
    for state in ExecutionState
}
OUTPUT_STATES = {
    state: event_pb2.OutputState.Value(f"OUTPUT_STATE_{state.name}") for state in OutputState
}
PHASES = {
    None: event_pb2.PHASE_UNSPECIFIED,
    Phase.INTERCEPTION: event_pb2.PHASE_INTERCEPTION,
    Phase.OPTIMIZATION: event_pb2.PHASE_OPTIMIZATION,
}
_LEVELS_BACK = {number: level for level, number in LEVELS.items()}


def level_from_proto(number: int) -> SafetyLevel | None:
    """Return the level; None for UNSPECIFIED and for numbers that we do not know."""
    return _LEVELS_BACK.get(types_pb2.SafetyLevel.ValueType(number))


def duration(seconds: float | None) -> Duration | None:
    """Return seconds as a Duration, None as unset."""
    if seconds is None:
        return None
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))


def timestamp(time: datetime | None) -> Timestamp | None:
    """Return a UTC time as a Timestamp, None as unset."""
    if time is None:
        return None
    # Not by `FromDatetime`, which goes by the calendar: every event has a time.
    seconds, nanos = divmod(nanoseconds_of(time), 1_000_000_000)
    return Timestamp(seconds=seconds, nanos=nanos)


def media_to_proto(media: MediaFile) -> types_pb2.MediaRef:
    """Return a file reference for the wire."""
    return types_pb2.MediaRef(
        uri=media.uri,
        sha256=media.sha256,
        size_bytes=media.size_bytes,
        mime_type=media.mime_type,
        filename=media.filename,
    )


def media_from_proto(media: types_pb2.MediaRef) -> MediaFile:
    """Return a file reference from the wire."""
    return MediaFile(
        sha256=media.sha256,
        uri=media.uri,
        size_bytes=media.size_bytes,
        mime_type=media.mime_type,
        filename=media.filename,
    )


def localized(texts: Mapping[str, str]) -> types_pb2.LocalizedText | None:
    """Return texts by language, none as unset."""
    return types_pb2.LocalizedText(texts=texts) if texts else None

"""From the caller's values to the bytes of the contract, once and without ever failing.

`record()` may not raise into a pipeline, so whatever a caller hands over becomes an item: values
that JSON does not know become text, half characters are replaced, and what is over a limit of the
contract is cut and says so.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from stellwerk.common.v1 import types_pb2
from stellwerk.tracker.v1 import execution_pb2, tracker_service_pb2
from stellwerk_client.recorder.frames import HEARTBEAT, ITEM, PLAN, field

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT_BYTES = 1024 * 1024
"""Most bytes of an item's content, of its metadata and of a plan."""

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
"""Media types of the record's JSON form, and their numbers in the contract."""

_NANOS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


class Media(Protocol):
    """A reference to a stored file; `stellwerk.common.v1.MediaRef` is one."""

    @property
    def uri(self) -> str:
        """Key in the media store."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes, 64 hexadecimal digits."""

    @property
    def size_bytes(self) -> int:
        """Size in bytes."""

    @property
    def mime_type(self) -> str:
        """MIME type."""

    @property
    def filename(self) -> str:
        """A name for people; empty when there is none."""


def metadata_bytes(metadata: Mapping[str, Any] | None) -> bytes:
    """Return a JSON object as compact UTF-8; numbers of up to 64 bits and beyond stay exact."""
    if not metadata:
        return b""
    try:
        encoded = orjson.dumps(metadata, default=_plain, option=_JSON_OPTIONS)
    except (TypeError, ValueError, RecursionError):
        encoded = _metadata_by_force(metadata)
    return encoded if len(encoded) <= MAX_TEXT_BYTES else _stand_in(encoded)


def _plain(value: object) -> Any:
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    return str(value)


def _metadata_by_force(metadata: Mapping[str, Any]) -> bytes:
    """Encode what the fast encoder refuses: numbers over 64 bits, half characters, odd keys."""
    try:
        text = json.dumps(
            dict(metadata),
            default=_plain,
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
    except (TypeError, ValueError, RecursionError) as exc:
        text = json.dumps({"recorder": {"metadata_unreadable": type(exc).__name__}})
    return text.encode("utf-8", "replace")


def _stand_in(encoded: bytes) -> bytes:
    digest = hashlib.sha256(encoded).hexdigest()
    return orjson.dumps(
        {"recorder": {"metadata_too_large_bytes": len(encoded), "metadata_sha256": digest}}
    )


def nanoseconds_of(time: datetime) -> int:
    """Return an aware time as nanoseconds since 1970 UTC, exact to the microsecond."""
    since = time - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def encode_item(
    content: str | None,
    media: Media | None,
    metadata: Mapping[str, Any] | None,
    nanoseconds: int,
    run_seconds: float | None,
    fields: dict[str, Any],
) -> bytes:
    """Return an item as a field of a request.

    Args:
        content: Its text; None = it has none.
        media: Its file; None = it has none.
        metadata: A JSON object.
        nanoseconds: When it happened, since 1970 UTC.
        run_seconds: Time of the work behind it, in seconds; None = not measured.
        fields: The other fields by their names in the contract; None = unset.

    Returns:
        Tag, length and message.

    Raises:
        Exception: A value has the wrong type or is out of range, whatever protobuf makes of it.
    """
    try:
        item = execution_pb2.ExecutionItem(content=content, **fields)
    except UnicodeEncodeError:
        item = execution_pb2.ExecutionItem(
            content=content and _whole_characters(content),
            **{key: _whole_characters(value) for key, value in fields.items()},
        )
    if content is not None and len(content) > MAX_TEXT_BYTES // 4:
        item.content = _cut(item.content)
    item.metadata_json = metadata_bytes(metadata)
    seconds, rest = divmod(nanoseconds, _NANOS)
    time = item.occur_time
    time.seconds = seconds
    time.nanos = rest - rest % 1_000  # the record keeps microseconds
    if run_seconds is not None:
        item.run_duration.seconds, fraction = divmod(int(run_seconds * _NANOS), _NANOS)
        item.run_duration.nanos = fraction
    if media is not None:
        item.media.uri = media.uri
        item.media.sha256 = media.sha256
        item.media.size_bytes = media.size_bytes
        item.media.mime_type = media.mime_type
        item.media.filename = media.filename
    return field(ITEM, item.SerializeToString())


def _whole_characters(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _cut(text: str) -> str:
    return text.encode()[:MAX_TEXT_BYTES].decode("utf-8", "ignore")


def encode_plan(digest: str, plan_json: bytes) -> bytes:
    """Return a plan as a field of a request."""
    plan = tracker_service_pb2.ExecutionPlan(plan_digest=digest, plan_json=plan_json)
    return field(PLAN, plan.SerializeToString())


def encode_heartbeat(
    execution_id: str, epoch: int, last_sequence_number: int, owner_address: str, released: bool
) -> bytes:
    """Return a heartbeat as a field of a request."""
    heartbeat = tracker_service_pb2.ExecutionHeartbeat(
        execution_id=execution_id,
        epoch=epoch,
        last_sequence_number=last_sequence_number,
        owner_address=owner_address,
        released=released,
    )
    return field(HEARTBEAT, heartbeat.SerializeToString())

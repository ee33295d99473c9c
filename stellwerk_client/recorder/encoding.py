"""From the caller's values to the bytes of the contract, once and without ever failing.

`record()` may not raise into a pipeline, so whatever a caller hands over becomes an item: values
that JSON does not know become text, half characters are replaced, and what is over a limit of the
contract is cut and says so.
"""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from stellwerk.common.v1 import types_pb2
from stellwerk.tracker.v1 import execution_pb2, tracker_service_pb2
from stellwerk_client.recorder.frames import HEARTBEAT, ITEM, PLAN, TRACE_PARENT, field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stellwerk_client.recorder.details import ItemDetails, Media

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


def nanoseconds_of(moment: datetime) -> int:
    """Return an aware time as nanoseconds since 1970 UTC, exact to the microsecond."""
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def encode_item(
    execution_id: str,
    epoch: int,
    sequence_number: int,
    stage: int,
    item_type: str,
    details: ItemDetails,
) -> bytes:
    """Return an item as a field of a request.

    Args:
        execution_id: The execution.
        epoch: The claim that writes.
        sequence_number: Order in the execution.
        stage: 0 to 5.
        item_type: One of the taxonomy.
        details: The rest, `item_id` included; used up by this.

    Returns:
        Tag, length and message.

    Raises:
        Exception: A value has the wrong type or is out of range, whatever protobuf makes of it.
    """
    media_type, metadata = details.pop("media_type", ""), details.pop("metadata", None)
    media, run_seconds = details.pop("media", None), details.pop("run_seconds", None)
    occur_time = details.pop("occur_time", None)
    # What is left are fields of the contract by their names in it.
    fields: Any = details
    fields["execution_id"], fields["epoch"] = execution_id, epoch
    fields["sequence_number"], fields["stage"] = sequence_number, stage
    fields["item_type"] = item_type
    item = _item_of(fields)
    item.media_type = MEDIA_TYPES.get(media_type, types_pb2.MEDIA_TYPE_UNSPECIFIED)
    item.metadata_json = metadata_bytes(metadata)
    _set_time(item, time.time_ns() if occur_time is None else nanoseconds_of(occur_time))
    if run_seconds is not None:
        _set_duration(item, int(run_seconds * _NANOS))
    if media is not None:
        _set_media(item, media)
    return field(ITEM, item.SerializeToString())


def _item_of(fields: dict[str, Any]) -> execution_pb2.ExecutionItem:
    try:
        item = execution_pb2.ExecutionItem(**fields)
    except UnicodeEncodeError:
        whole = {key: _whole_characters(value) for key, value in fields.items()}
        item = execution_pb2.ExecutionItem(**whole)
    content = fields.get("content")
    if content is not None and len(content) > MAX_TEXT_BYTES // 4:
        item.content = _cut(item.content)
    return item


def _set_time(item: execution_pb2.ExecutionItem, nanoseconds: int) -> None:
    occurred = item.occur_time
    occurred.seconds, rest = divmod(nanoseconds, _NANOS)
    occurred.nanos = rest - rest % 1_000  # the record keeps microseconds


def _set_duration(item: execution_pb2.ExecutionItem, nanoseconds: int) -> None:
    duration = item.run_duration
    duration.seconds, duration.nanos = divmod(nanoseconds, _NANOS)


def _set_media(item: execution_pb2.ExecutionItem, media: Media) -> None:
    item.media.uri = media.uri
    item.media.sha256 = media.sha256
    item.media.size_bytes = media.size_bytes
    item.media.mime_type = media.mime_type
    item.media.filename = media.filename


def _whole_characters(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _cut(text: str) -> str:
    return text.encode()[:MAX_TEXT_BYTES].decode("utf-8", "ignore")


def encode_plan(digest: str, plan_json: bytes) -> bytes:
    """Return a plan as a field of a request."""
    plan = tracker_service_pb2.ExecutionPlan(plan_digest=digest, plan_json=plan_json)
    return field(PLAN, plan.SerializeToString())


def encode_trace(traceparent: str) -> bytes:
    """Return the name of a span as a field of a request."""
    return field(TRACE_PARENT, traceparent.encode("ascii"))


def encode_heartbeat(
    execution_id: str,
    epoch: int,
    last_sequence_number: int,
    owner_address: str,
    *,
    released: bool,
    awaiting_edit: bool,
) -> bytes:
    """Return a heartbeat as a field of a request."""
    heartbeat = tracker_service_pb2.ExecutionHeartbeat(
        execution_id=execution_id,
        epoch=epoch,
        last_sequence_number=last_sequence_number,
        owner_address=owner_address,
        released=released,
        awaiting_edit=awaiting_edit,
    )
    return field(HEARTBEAT, heartbeat.SerializeToString())

"""Messages of the services as plain JSON values, for scripts and for the page.

protobuf's own JSON form writes 64-bit numbers as text, durations as "1.5s" and enums with their
long prefix. Scripts want numbers and short words, and they want the form to stay when a field is
added: a field that is unset or empty is left out, and nothing else ever is.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from stellwerk.common.v1.types_pb2 import LocalizedText

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor
    from google.protobuf.message import Message

    from stellwerk.orchestrator.v1.event_pb2 import ExecutionEvent

_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")
_WORDS = {"three_d": "3d"}  # as records.md spells it


def plain_event(event: ExecutionEvent) -> dict[str, Any]:
    """Return an event of an execution as one flat JSON object.

    Args:
        event: The event.

    Returns:
        `execution_id`, `event` (the name of what happened, such as `item_recorded`), `epoch`,
        `sequence_number`, `time`, and under that name what it holds.
    """
    name = event.WhichOneof("event") or "unknown"
    plain: dict[str, Any] = {
        "execution_id": event.execution_id,
        "event": name,
        "epoch": event.epoch,
        "sequence_number": event.sequence_number,
        "time": event.event_time.ToJsonString(),
    }
    if name != "unknown":
        plain[name] = plain_message(getattr(event, name))
    return plain


def plain_message(message: Message) -> dict[str, Any]:
    """Return a message as a JSON object with the proto's field names.

    Durations are seconds, times RFC 3339 texts, enum values short lower-case words, fields of JSON
    text (`…_json`) the values that they hold, texts in several languages `{language: text}`.
    """
    plain = {}
    for field, value in message.ListFields():
        name = field.name
        if field.type == FieldDescriptor.TYPE_BYTES and name.endswith("_json"):
            plain[name.removesuffix("_json")] = json.loads(value or b"{}")
        elif _is_map(field):
            plain[name] = dict(value)
        elif field.is_repeated:
            plain[name] = [_plain(field, entry) for entry in value]
        else:
            plain[name] = _plain(field, value)
    return plain


def enum_word(descriptor: EnumDescriptor, number: int) -> str:
    """Return an enum value as a short word: `SAFETY_LEVEL_KIDS` is `kids`."""
    value = descriptor.values_by_number.get(number)
    if value is None:  # made by a newer server
        return str(number)
    prefix = _WORD_START.sub("_", descriptor.name).upper() + "_"
    word = value.name.removeprefix(prefix).lower()
    return _WORDS.get(word, word)


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, Duration):
        return value.ToNanoseconds() / 1e9
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    if isinstance(value, LocalizedText):
        return dict(value.texts)
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return plain_message(value)
    if field.type == FieldDescriptor.TYPE_ENUM and field.enum_type is not None:
        return enum_word(field.enum_type, value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _is_map(field: FieldDescriptor) -> bool:
    entry = field.message_type
    return entry is not None and bool(entry.GetOptions().map_entry)

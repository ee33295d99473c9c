"""JSON Schemas of the services' messages in the plain form that the gateway answers with.

They are made from the contract itself, so that what OpenAPI says cannot drift from what is sent.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor

from servicekit.plain import enum_word

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

Json = dict[str, Any]

_NUMBERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)
_FLOATS = frozenset({FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT})
_KNOWN: dict[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "number", "description": "Seconds."},
    "stellwerk.common.v1.LocalizedText": {
        "type": "object",
        "description": "ISO 639-1 code to text.",
        "additionalProperties": {"type": "string"},
    },
}


def reference(descriptor: Descriptor) -> Json:
    """Return a reference to a message's schema among OpenAPI's components."""
    return {"$ref": f"#/components/schemas/{descriptor.name}"}


def components(*roots: Descriptor) -> dict[str, Json]:
    """Return the schemas of messages and of all that they hold, by name.

    A field that is unset or empty is left out of an answer, so none is required.
    """
    found: dict[str, Json] = {}
    waiting = list(roots)
    while waiting:
        descriptor = waiting.pop()
        if descriptor.name in found or descriptor.full_name in _KNOWN:
            continue
        properties = {}
        for field in descriptor.fields:
            name = field.name
            if field.type == FieldDescriptor.TYPE_BYTES and name.endswith("_json"):
                name = name.removesuffix("_json")
            properties[name] = _described(_schema_of(field), field.full_name)
            if field.message_type is not None:
                waiting.append(_value_message(field))
        schema = {"type": "object", "properties": properties}
        found[descriptor.name] = _described(schema, descriptor.full_name)
    return found


@cache
def _comments() -> dict[str, str]:
    text = (files("stellwerk") / "comments.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def _described(schema: Json, full_name: str) -> Json:
    """Add what the contract says about a message or field."""
    comment = " ".join((_comments().get(full_name, ""), schema.get("description", ""))).strip()
    return schema | ({"description": comment} if comment else {})


def _value_message(field: FieldDescriptor) -> Descriptor:
    message: Any = field.message_type
    if message.GetOptions().map_entry:
        inner: Descriptor | None = message.fields_by_name["value"].message_type
        return inner or message
    found: Descriptor = message
    return found


def _schema_of(field: FieldDescriptor) -> Json:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return {
            "type": "object",
            "additionalProperties": _single(message.fields_by_name["value"]),
        }
    single = _single(field)
    return {"type": "array", "items": single} if field.is_repeated else single


def _single(field: FieldDescriptor) -> Json:
    if field.message_type is not None:
        return _KNOWN.get(field.message_type.full_name) or reference(field.message_type)
    if field.enum_type is not None:
        words = [enum_word(field.enum_type, value.number) for value in field.enum_type.values]
        return {"type": "string", "examples": words[1:3]}
    if field.type == FieldDescriptor.TYPE_BYTES:
        # What holds JSON is that JSON, everything else is in base64.
        return {} if field.name.endswith("_json") else {"type": "string", "format": "byte"}
    if field.cpp_type in _NUMBERS:
        return {"type": "integer"}
    if field.cpp_type in _FLOATS:
        return {"type": "number"}
    kind = "boolean" if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else "string"
    return {"type": kind}

"""Three-dimensional models: `extras` and the name of an owner go."""

from __future__ import annotations

import json
import struct

_JSON_CHUNK = 0x4E4F534A
_MAX_DEPTH = 64


def strip_glb(data: bytes) -> bytes:
    """Clean the JSON of a binary glTF 2.0; its buffers stay as they are.

    `extras` holds what applications like and draws nothing (glTF 2.0, 3.2); workers put the whole
    workflow there.
    """
    _, version, total = struct.unpack_from("<4sII", data, 0)
    size, kind = struct.unpack_from("<II", data, 12)
    if version != 2 or kind != _JSON_CHUNK or total > len(data) or 20 + size > total:
        raise ValueError("it is no whole binary glTF 2.0")
    scene = json.loads(data[20 : 20 + size])
    if not isinstance(scene, dict):
        raise ValueError("its description is no object")
    cleaned = _without_extras(scene, 0)
    asset = cleaned.get("asset")
    if isinstance(asset, dict):
        asset.pop("copyright", None)
    if cleaned == scene and total == len(data):
        return data
    text = json.dumps(cleaned, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + size : total]
    head = struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), _JSON_CHUNK)
    return head + text + rest


def _without_extras(value: object, depth: int) -> dict[str, object]:
    cleaned = _cleaned(value, depth)
    return cleaned if isinstance(cleaned, dict) else {}


def _cleaned(value: object, depth: int) -> object:
    if depth > _MAX_DEPTH:
        raise ValueError("its description is nested too deeply")
    if isinstance(value, dict):
        return {k: _cleaned(v, depth + 1) for k, v in value.items() if k != "extras"}
    if isinstance(value, list):
        return [_cleaned(each, depth + 1) for each in value]
    return value

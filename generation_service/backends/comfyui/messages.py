"""What comes over a worker's socket: one parser for texts and binary frames.

Anything unknown, broken or of a newer version becomes None; it must never stop the reader.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from generation_service.backends.comfyui.answers import mapping
from generation_service.backends.comfyui.http import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUS = "status"
EXECUTING = "executing"
PROGRESS = "progress"
PROGRESS_STATE = "progress_state"
PREVIEW = "preview"
TEXT = "text"

_IMAGE_FRAME, _TEXT_FRAME, _IMAGE_WITH_METADATA_FRAME = 1, 3, 4
_IMAGE_TYPES = {1: "image/jpeg", 2: "image/png"}
_MAX_METADATA_BYTES = 64 * 1024
HELLO = '{"type":"feature_flags","data":{"supports_preview_metadata":true}}'
"""Must be the first message on a socket; previews then say whose they are."""


@dataclass(frozen=True)
class Preview:
    """A picture of what is being made.

    Attributes:
        mime_type: `image/jpeg` or `image/png`.
        data: The picture.
        node_id: Whose it is; empty: not told.
    """

    mime_type: str
    data: bytes = field(repr=False)
    node_id: str = ""


@dataclass(frozen=True)
class Message:
    """One message of the socket.

    Attributes:
        kind: The type as the server names it, or PREVIEW or TEXT for binary frames.
        prompt_id: Which prompt it is about; empty: it does not say.
        data: The content of a text message.
        preview: The content of a picture frame.
    """

    kind: str
    prompt_id: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    preview: Preview | None = None

    @property
    def ends_run(self) -> bool:
        """Whether it is the marker after which nothing more comes for the prompt.

        `executing` without a prompt's id, as after a reconnect, says nothing about any prompt.
        """
        return bool(self.kind == EXECUTING and self.prompt_id and self.data.get("node") is None)


def read_message(frame: bytes) -> Message | None:
    """Read one frame; None: nothing that we can use.

    Args:
        frame: Its bytes, also of text frames, whose UTF-8 may be broken. Text is a JSON object
            and begins with a brace; a binary frame begins with a type below 2^24, thus with 0.
    """
    try:
        return _binary(frame) if frame[:1] == b"\0" else _text(frame)
    except (ValueError, struct.error):
        return None


def _text(frame: bytes) -> Message | None:
    message = parse_json(frame.decode("utf-8", "replace"))
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return None
    data = mapping(message.get("data"))
    prompt_id = data.get("prompt_id")
    return Message(message["type"], prompt_id if isinstance(prompt_id, str) else "", data)


def _binary(frame: bytes) -> Message | None:
    (kind,) = struct.unpack_from(">I", frame)
    if kind == _IMAGE_FRAME:
        (image_kind,) = struct.unpack_from(">I", frame, 4)
        mime_type = _IMAGE_TYPES.get(image_kind)
        return Message(PREVIEW, preview=Preview(mime_type, frame[8:])) if mime_type else None
    if kind == _TEXT_FRAME:
        (size,) = struct.unpack_from(">I", frame, 4)
        node_id = frame[8 : 8 + size].decode("utf-8", "replace")
        text = frame[8 + size :].decode("utf-8", "replace")
        return Message(TEXT, data={"node": node_id, "text": text})
    if kind == _IMAGE_WITH_METADATA_FRAME:
        return _picture_with_metadata(frame)
    return None


def _picture_with_metadata(frame: bytes) -> Message | None:
    (size,) = struct.unpack_from(">I", frame, 4)
    if size > min(_MAX_METADATA_BYTES, len(frame) - 8):
        return None
    about = mapping(parse_json(frame[8 : 8 + size].decode("utf-8", "replace")))
    mime_type = str(about.get("image_type"))
    if mime_type not in _IMAGE_TYPES.values():
        return None
    return Message(
        PREVIEW,
        prompt_id=str(about.get("prompt_id") or ""),
        preview=Preview(mime_type, frame[8 + size :], str(about.get("node_id") or "")),
    )

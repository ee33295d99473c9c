"""What kind of file some bytes are, by the bytes alone: a name or header may lie."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class MediaKind:
    """A kind of file that the store keeps."""

    mime_type: str
    extension: str


_PLAIN = (
    (b"\x89PNG\r\n\x1a\n", MediaKind("image/png", "png")),
    (b"\xff\xd8\xff", MediaKind("image/jpeg", "jpg")),
    (b"GIF87a", MediaKind("image/gif", "gif")),
    (b"GIF89a", MediaKind("image/gif", "gif")),
    (b"fLaC", MediaKind("audio/flac", "flac")),
    (b"OggS", MediaKind("audio/ogg", "ogg")),
    (b"ID3", MediaKind("audio/mpeg", "mp3")),
    (b"\xff\xfb", MediaKind("audio/mpeg", "mp3")),
    (b"glTF", MediaKind("model/gltf-binary", "glb")),
    (b"\x1a\x45\xdf\xa3", MediaKind("video/webm", "webm")),
)
_RIFF = {
    b"WEBP": MediaKind("image/webp", "webp"),
    b"WAVE": MediaKind("audio/wav", "wav"),
}
_MP4 = MediaKind("video/mp4", "mp4")


def find_kind(data: bytes) -> MediaKind | None:
    """Tell what `data` is; None when it is nothing that the store keeps."""
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _MP4
    return next((kind for magic, kind in _PLAIN if data.startswith(magic)), None)


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels; zeros when it is no picture. Reads the header only."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "GIF")) as image:
            return image.size
    except (OSError, ValueError, SyntaxError):
        return (0, 0)

"""What kind of file some bytes are, by the bytes alone: a name or header may lie."""

from __future__ import annotations

import json
from dataclasses import dataclass

_MAX_TEXT_BYTES = 4 * 1024 * 1024
_EBML_HEADER_BYTES = 256
_FORBIDDEN_IN_TEXT = frozenset(range(32)) - {9, 10, 12, 13}


@dataclass(frozen=True)
class MediaKind:
    """A kind of file that the store keeps."""

    mime_type: str
    extension: str

    @property
    def family(self) -> str:
        """What limits are set by: `image`, `audio`, `video`, `model` or `text`."""
        family = self.mime_type.split("/")[0]
        return "text" if family == "application" else family


PNG = MediaKind("image/png", "png")
JPEG = MediaKind("image/jpeg", "jpg")
GIF = MediaKind("image/gif", "gif")
WEBP = MediaKind("image/webp", "webp")
WAV = MediaKind("audio/wav", "wav")
FLAC = MediaKind("audio/flac", "flac")
OGG = MediaKind("audio/ogg", "ogg")
MP3 = MediaKind("audio/mpeg", "mp3")
M4A = MediaKind("audio/mp4", "m4a")
MP4 = MediaKind("video/mp4", "mp4")
MOV = MediaKind("video/quicktime", "mov")
WEBM = MediaKind("video/webm", "webm")
GLB = MediaKind("model/gltf-binary", "glb")
TEXT = MediaKind("text/plain", "txt")
JSON = MediaKind("application/json", "json")

_BY_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"fLaC", FLAC),
    (b"OggS", OGG),
    (b"ID3", MP3),
    (b"glTF\x02\x00\x00\x00", GLB),
)
_RIFF = {b"WEBP": WEBP, b"WAVE": WAV}
_BRANDS = {b"qt  ": MOV, b"M4A ": M4A, b"M4B ": M4A}
_PICTURE_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"})


def find_kind(data: bytes) -> MediaKind | None:
    """Tell what `data` is; None when it is nothing that the store keeps."""
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        return None if brand in _PICTURE_BRANDS else _BRANDS.get(brand, MP4)
    for magic, kind in _BY_MAGIC:
        if data.startswith(magic):
            return kind
    if data.startswith(b"\x1a\x45\xdf\xa3"):  # EBML; Matroska looks the same but for this word
        return WEBM if b"webm" in data[:_EBML_HEADER_BYTES] else None
    if _is_mp3_frame(data):
        return MP3
    return _kind_of_text(data)


def _is_mp3_frame(data: bytes) -> bool:
    """Whether an MPEG audio frame of layer III begins here, with a sensible bit and sample rate."""
    return (
        len(data) > 3
        and data[0] == 0xFF
        and data[1] & 0xE6 == 0xE2
        and data[2] >> 4 not in (0x0, 0xF)
        and data[2] & 0x0C != 0x0C
    )


def _kind_of_text(data: bytes) -> MediaKind | None:
    if not data or len(data) > _MAX_TEXT_BYTES or not _FORBIDDEN_IN_TEXT.isdisjoint(data):
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if text.lstrip()[:1] not in ("{", "["):
        return TEXT
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return TEXT
    return JSON

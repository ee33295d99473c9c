"""What the store says about a file: its hash, its kind, its size, its limits."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from PIL import Image

from generation_service.media.interface import (
    BrokenMediaError,
    MediaTooLargeError,
    MediaTypeNotAllowedError,
    StoredMedia,
)
from generation_service.media.types import MediaKind, find_kind

if TYPE_CHECKING:
    from collections.abc import Mapping

_MIB = 1024 * 1024
_MAX_FILENAME_CHARACTERS = 120


@dataclass(frozen=True)
class MadeLimits:
    """What a made file may be at most.

    Attributes:
        picture_bytes: A still or animated picture.
        picture_pixels: Its width times its height, of one frame.
        other_bytes: A sound, a film or a model.
        text_bytes: A text.
    """

    picture_bytes: int = 20 * _MIB
    picture_pixels: int = 40_000_000
    other_bytes: int = 256 * _MIB
    text_bytes: int = _MIB

    @property
    def bytes_by_family(self) -> Mapping[str, int]:
        """Most bytes by `MediaKind.family`; what is not named here has `other_bytes`."""
        return {"image": self.picture_bytes, "text": self.text_bytes}


def known_kind(data: bytes) -> MediaKind:
    """Tell what `data` is.

    Raises:
        MediaTypeNotAllowedError: It is nothing that the store keeps.
    """
    kind = find_kind(data)
    if kind is None:
        raise MediaTypeNotAllowedError("it is no picture, sound, film, model or text that we know")
    return kind


def check_made(data: bytes, kind: MediaKind, limits: MadeLimits) -> None:
    """Hold a made file against its limits.

    Raises:
        MediaTooLargeError: It has too many bytes or pixels.
        BrokenMediaError: It is a picture that cannot even be measured.
    """
    most = limits.bytes_by_family.get(kind.family, limits.other_bytes)
    if len(data) > most:
        raise MediaTooLargeError(f"at most {most / _MIB:g} MiB of {kind.mime_type}")
    if kind.family == "image":
        too_large = MediaTooLargeError(f"at most {limits.picture_pixels // 1_000_000} megapixels")
        try:
            width, height = picture_size(data)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
            raise too_large from exc
        if width * height > limits.picture_pixels:
            raise too_large
        if not width * height:
            raise BrokenMediaError(kind.mime_type)


def described(data: bytes, kind: MediaKind, filename: str = "") -> StoredMedia:
    """Describe a file under the key that it gets. Blocking: it hashes all bytes."""
    sha256 = hashlib.sha256(data).hexdigest()
    width, height = picture_size(data) if kind.family == "image" else (0, 0)
    uri = f"media/{sha256[:2]}/{sha256}.{kind.extension}"
    return StoredMedia(uri, sha256, len(data), kind.mime_type, filename, width, height)


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels; zeros when it is no picture. Reads the header only.

    Raises:
        Image.DecompressionBombError: It claims to have hundreds of megapixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "GIF")) as image:
            return image.size
    except (OSError, ValueError, SyntaxError):
        return (0, 0)


def derived_key(sha256: str, name: str = "") -> str:
    """Key of something made from a file, such as its thumbnail; without a name: of all of it."""
    return f"derived/{sha256[:2]}/{sha256}" + (f"/{name}" if name else "")


def marked_keys(sha256: str, execution_id: str) -> tuple[str, str]:
    """Keys of the marked file and of the detached mark.

    A mark names the execution, so each execution has its own of equal bytes.
    """
    whose = hashlib.sha256(execution_id.encode()).hexdigest()[:32]
    return derived_key(sha256, f"marked-{whose}"), derived_key(sha256, f"manifest-{whose}")


def plain_name(filename: str) -> str:
    """A file's name without folders and control characters, of bounded length."""
    base = PurePosixPath(filename.replace("\\", "/")).name
    return "".join(c for c in base if c.isprintable())[:_MAX_FILENAME_CHARACTERS]

"""Makes a learner's picture safe to keep: decoded, bounded, freed of what it tells about them.

Re-encoding is the one way that surely removes place, device and thumbnail from every format, and
it also leaves nothing of a file that pretends to be two things at once.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from PIL import Image, ImageCms, ImageOps

from generation_service.media.interface import (
    BrokenImageError,
    MediaTooLargeError,
    MediaTypeNotAllowedError,
)
from generation_service.media.types import find_kind

_ALLOWED = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_ALLOWED_TEXT = "send a PNG, JPEG or WebP picture"
_BROKEN = (OSError, ValueError, SyntaxError, struct.error, EOFError)


@dataclass(frozen=True)
class UploadLimits:
    """What an upload may be.

    Attributes:
        max_bytes: Of the file as sent.
        max_pixels: Width times height.
        seconds: For the whole upload.
    """

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 40_000_000
    seconds: float = 120.0


def clean_picture(data: bytes, limits: UploadLimits) -> bytes:
    """Decode and encode anew, without metadata, upright, in sRGB.

    Blocking, up to seconds of work: call it in a thread.

    Raises:
        MediaTypeNotAllowedError: It is no PNG, JPEG or WebP.
        MediaTooLargeError: It has too many pixels.
        BrokenImageError: It cannot be decoded.
    """
    kind = find_kind(data)
    if kind is None or kind.mime_type not in _ALLOWED:
        raise MediaTypeNotAllowedError(_ALLOWED_TEXT)
    encoding = _ALLOWED[kind.mime_type]
    try:
        with Image.open(io.BytesIO(data), formats=(encoding,)) as image:
            if image.width * image.height > limits.max_pixels:
                raise MediaTooLargeError(f"at most {limits.max_pixels // 1_000_000} megapixels")
            image.load()
            return _encoded(_plain(image), encoding)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise MediaTooLargeError(f"at most {limits.max_pixels // 1_000_000} megapixels") from exc
    except _BROKEN as exc:
        raise BrokenImageError from exc


def _plain(image: Image.Image) -> Image.Image:
    """The pixels alone: upright, sRGB, 8 bits, with transparency if there was any."""
    upright = ImageOps.exif_transpose(image)
    wanted = "RGBA" if upright.has_transparency_data else "RGB"
    profile = upright.info.get("icc_profile")
    pixels = upright if upright.mode == wanted else upright.convert(wanted)
    if profile and upright.mode in ("RGB", "RGBA"):
        pixels = _in_srgb(pixels, profile)
    clean = Image.new(wanted, pixels.size)
    clean.paste(pixels)
    return clean


def _in_srgb(pixels: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(pixels, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError):
        return pixels  # a profile nobody can read: the colours may be slightly off
    return pixels if converted is None else converted


def _encoded(image: Image.Image, encoding: str) -> bytes:
    buffer = io.BytesIO()
    if encoding == "JPEG":
        image.convert("RGB").save(buffer, "JPEG", quality=92, subsampling=0)
    elif encoding == "WEBP":
        image.save(buffer, "WEBP", quality=92, method=2)
    else:
        image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()

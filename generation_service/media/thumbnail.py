"""Small pictures of pictures, for lists."""

from __future__ import annotations

import io
import struct

from PIL import Image, ImageOps

from generation_service.media.interface import BrokenImageError

MIME_TYPE = "image/webp"
LARGEST_PIXELS = 1024
_SIDES = (64, 128, 256, 512, LARGEST_PIXELS)
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_QUALITY = 80


def side_for(pixels: int) -> int:
    """The side that is kept for a wish: few sizes, so that few files are kept."""
    return next((side for side in _SIDES if side >= pixels), LARGEST_PIXELS)


def make_thumbnail(picture: bytes, side: int) -> bytes:
    """Draw a picture, or the first frame of an animated one, so that its longer side is `side`.

    A smaller picture keeps its size. Blocking: call it in a thread.

    Args:
        picture: A file that was held against the limits before.
        side: In pixels.

    Returns:
        A WebP file without metadata.

    Raises:
        BrokenImageError: It cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=_FORMATS) as image:
            image.draft("RGB", (side, side))  # JPEG decodes straight to a smaller size
            image.load()
            small = ImageOps.exif_transpose(image).convert(
                "RGBA" if image.has_transparency_data else "RGB"
            )
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as exc:
        raise BrokenImageError from exc
    small.thumbnail((side, side))
    clean = Image.new(small.mode, small.size)
    clean.paste(small)
    buffer = io.BytesIO()
    clean.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()

"""The child process that decodes pictures, so that a hostile one can harm nothing else.

Run as a script with one frame per picture on stdin (format name and perhaps `preview`, a line
break, the length as decimal, a line break, the bytes) and one JSON line per answer on stdout. It
knows nothing of this
package: only the standard library and Pillow are loaded, and an address-space limit is set first.
"""

from __future__ import annotations

import base64
import json
import math
import resource
import sys
from io import BytesIO
from typing import BinaryIO

from PIL import Image, ImageOps

MEMORY_BYTES = 2 << 30
MAX_PIXELS = 40_000_000
MAX_FRAMES = 300
MAX_PIXELS_OF_ALL_FRAMES = 4 * MAX_PIXELS
PREVIEW_PIXELS = 1024
MAX_PREVIEW_FRAMES = 16
"""A guard sees a sheet of all frames; of more, none could be made out."""


def main() -> None:
    """Answer frames until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    Image.MAX_IMAGE_PIXELS = None  # `decode` has limits of its own, before it decodes
    Image.init()
    while (frame := _read_frame(sys.stdin.buffer)) is not None:
        sys.stdout.write(json.dumps(decode(*frame)) + "\n")
        sys.stdout.flush()


def _read_frame(stream: BinaryIO) -> tuple[str, bytes, bool] | None:
    head = stream.readline().decode().split()
    if not head:
        return None
    size = int(stream.readline())
    content = stream.read(size)
    return (head[0], content, "preview" in head) if len(content) == size else None


def decode(picture_format: str, content: bytes, preview: bool = False) -> dict[str, object]:
    """Decode a picture completely and throw the pixels away.

    Args:
        picture_format: The format that its first bytes claim, as Pillow calls it.
        content: The file.
        preview: Make a small picture of it that shows whatever it can show.

    Returns:
        `width`, `height` and `frames`, or `fault`: `broken` or `too_large`. With a preview, unless
        there are too many frames, also `preview`: a JPEG without metadata, in Base64.
    """
    try:
        with Image.open(BytesIO(content), formats=[picture_format]) as picture:
            width, height = picture.size
            frames = int(getattr(picture, "n_frames", 1))
            if width * height > MAX_PIXELS or frames > MAX_FRAMES:
                return {"fault": "too_large"}
            if width * height * frames > MAX_PIXELS_OF_ALL_FRAMES:
                return {"fault": "too_large"}
            tiles: list[Image.Image] = []
            for number in range(frames):
                picture.seek(number)
                picture.load()
                if preview and frames <= MAX_PREVIEW_FRAMES:
                    tiles += _views(picture, PREVIEW_PIXELS // math.isqrt(frames))
            answer: dict[str, object] = {"width": width, "height": height, "frames": frames}
            return {**answer, "preview": _sheet(tiles)} if tiles else answer
    except MemoryError:
        return {"fault": "too_large"}
    except Exception:  # Pillow's plugins raise many kinds; each means that it cannot be shown
        return {"fault": "broken"}


def _views(picture: Image.Image, side: int) -> list[Image.Image]:
    """A frame as people may see it: one that is see-through also hides on white or on black."""
    small = ImageOps.exif_transpose(picture).convert("RGBA")
    small.thumbnail((side, side))
    lowest = small.getchannel("A").getextrema()[0]
    grounds = ("white",) if lowest == 255 else ("white", "black")
    return [
        Image.alpha_composite(Image.new("RGBA", small.size, ground), small).convert("RGB")
        for ground in grounds
    ]


def _sheet(tiles: list[Image.Image]) -> str:
    """All tiles on one picture, left to right and top to bottom, as a JPEG in Base64."""
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    width = max(tile.width for tile in tiles)
    height = max(tile.height for tile in tiles)
    sheet = Image.new("RGB", (columns * width, rows * height), "grey")
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % columns * width, number // columns * height))
    sheet.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
    stream = BytesIO()
    sheet.save(stream, "JPEG", quality=85)
    return base64.b64encode(stream.getvalue()).decode()


if __name__ == "__main__":
    main()

"""The child process that decodes pictures, so that a hostile one can harm nothing else.

Run as a script with one frame per picture on stdin (format name, a line break, the length as
decimal, a line break, the bytes) and one JSON line per answer on stdout. It knows nothing of this
package: only the standard library and Pillow are loaded, and an address-space limit is set first.
"""

from __future__ import annotations

import json
import resource
import sys
from io import BytesIO
from typing import BinaryIO

from PIL import Image

MEMORY_BYTES = 2 << 30
MAX_PIXELS = 40_000_000
MAX_FRAMES = 300
MAX_PIXELS_OF_ALL_FRAMES = 4 * MAX_PIXELS


def main() -> None:
    """Answer frames until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    Image.MAX_IMAGE_PIXELS = None  # `decode` has limits of its own, before it decodes
    Image.init()
    while (frame := _read_frame(sys.stdin.buffer)) is not None:
        sys.stdout.write(json.dumps(decode(*frame)) + "\n")
        sys.stdout.flush()


def _read_frame(stream: BinaryIO) -> tuple[str, bytes] | None:
    picture_format = stream.readline().decode().strip()
    if not picture_format:
        return None
    size = int(stream.readline())
    content = stream.read(size)
    return (picture_format, content) if len(content) == size else None


def decode(picture_format: str, content: bytes) -> dict[str, object]:
    """Decode a picture completely and throw the pixels away.

    Args:
        picture_format: The format that its first bytes claim, as Pillow calls it.
        content: The file.

    Returns:
        `width` and `height` in pixels, or `fault`: `broken` or `too_large`.
    """
    try:
        with Image.open(BytesIO(content), formats=[picture_format]) as picture:
            width, height = picture.size
            frames = int(getattr(picture, "n_frames", 1))
            if width * height > MAX_PIXELS or frames > MAX_FRAMES:
                return {"fault": "too_large"}
            if width * height * frames > MAX_PIXELS_OF_ALL_FRAMES:
                return {"fault": "too_large"}
            for number in range(frames):
                picture.seek(number)
                picture.load()
            return {"width": width, "height": height}
    except MemoryError:
        return {"fault": "too_large"}
    except Exception:  # Pillow's plugins raise many kinds; each means that it cannot be shown
        return {"fault": "broken"}


if __name__ == "__main__":
    main()

"""The prompt id in the pixels of every picture, so that a mixed-up picture can be told.

A text chunk alone would not do: whoever strips metadata, as a media store must, would also strip
the evidence. The bits are light and dark squares of the picture's own colour, large enough to
survive JPEG; the rest of the picture stays as it is.
"""

from __future__ import annotations

import io
import re
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

CELLS = (16, 8, 4, 2, 1)  # sides of a square in pixels, the largest that fits is taken
MAGIC = b"\xa5\xc3"
MARK = re.compile(rb"prompt_id=([^\0]{1,255})\0")


def mark(prompt_id: str) -> bytes:
    """Return the bytes that name the prompt inside of files that are no pictures."""
    return b"prompt_id=" + prompt_id.encode()[:255] + b"\0"


def stamp(pixels: Pixels, prompt_id: str) -> Pixels:
    """Return a copy of a picture that carries the prompt id.

    Args:
        pixels: Height x width x 3.
        prompt_id: At most 255 bytes of it are written.
    """
    payload = _payload(prompt_id)
    height, width = pixels.shape[:2]
    stamped = pixels.copy()
    for cell in CELLS:
        columns, rows = width // cell, height // cell
        if columns * rows >= len(payload) * 8:
            _draw(stamped, payload, cell, columns)
            return stamped
    if width * height * 3 >= len(payload):  # a tiny picture: every channel is a byte
        stamped.reshape(-1)[: len(payload)] = np.frombuffer(payload, np.uint8)
    return stamped


def prompt_id_of(content: bytes) -> str | None:
    """Read the prompt id from a file that the stand-in made.

    Pictures (also previews, JPEG, animated ones) are read by their pixels only; sound, video and
    3D by what is inside of their data.

    Returns:
        None if there is none, as in a picture too small for it.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return _read(np.asarray(picture.convert("RGB"), np.uint8))
    except (UnidentifiedImageError, OSError):
        pass
    found = MARK.search(content)
    return found[1].decode() if found else None


def _payload(prompt_id: str) -> bytes:
    text = prompt_id.encode()[:255]
    body = MAGIC + bytes([len(text)]) + text
    return body + zlib.crc32(body).to_bytes(4, "big")


def _parse(data: bytes) -> str | None:
    if data[:2] != MAGIC or len(data) < 7 + data[2]:
        return None
    body, check = data[: 3 + data[2]], data[3 + data[2] : 7 + data[2]]
    if zlib.crc32(body).to_bytes(4, "big") != check:
        return None
    return body[3:].decode(errors="replace")


def _draw(pixels: Pixels, payload: bytes, cell: int, columns: int) -> None:
    bits = np.unpackbits(np.frombuffer(payload, np.uint8))
    rows = -(-len(bits) // columns)
    grid = np.zeros(rows * columns, np.uint8)
    grid[: len(bits)] = bits
    blocks = np.kron(grid.reshape(rows, columns), np.ones((cell, cell), np.uint8))
    area = pixels[: rows * cell, : columns * cell]
    base = area.reshape(-1, 3).mean(axis=0)
    dark, light = base // 4, 255 - (255 - base) // 4
    area[:] = np.where(blocks[..., None] == 1, light, dark).astype(np.uint8)


def _read(pixels: Pixels) -> str | None:
    height, width = pixels.shape[:2]
    brightness = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    for cell in CELLS:
        columns, rows = width // cell, height // cell
        if columns * rows < 7 * 8:
            continue
        squares = brightness[: rows * cell, : columns * cell]
        means = squares.reshape(rows, cell, columns, cell).mean(axis=(1, 3))
        found = _parse(np.packbits(means.reshape(-1) > 127).tobytes())
        if found is not None:
            return found
    return _parse(pixels.reshape(-1).tobytes())

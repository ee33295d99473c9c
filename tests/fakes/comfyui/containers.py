"""MP4 and WebM around pictures that Pillow can write, for videos without a codec library."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

from PIL import Image

from tests.fakes.comfyui.media import jpeg
from tests.fakes.comfyui.watermark import mark, stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fakes.comfyui.watermark import Pixels

MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, flags.to_bytes(4, "big"), *parts)


def mp4(frames: Sequence[Pixels], prompt_id: str, fps: float) -> bytes:
    """Return an MP4 whose frames are JPEG pictures.

    Args:
        frames: At least one, all of one size.
        prompt_id: Written into each frame, and as a free box beside them.
        fps: Frames per second.
    """
    pictures = [jpeg(frame, prompt_id) for frame in frames]
    height, width = frames[0].shape[:2]
    count, tick = len(pictures), max(1, int(1000 / fps))
    length = count * tick
    head = _box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41") + _box(b"free", mark(prompt_id))
    entry = bytes(6) + b"\0\1" + bytes(16) + struct.pack(">HHII", width, height, 72 << 16, 72 << 16)
    entry += bytes(4) + b"\0\1" + bytes(32) + b"\0\x18\xff\xff"
    first = len(head) + 8
    offsets = [first + sum(map(len, pictures[:index])) for index in range(count)]
    table = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), _box(b"jpeg", entry)),
        _full(b"stts", struct.pack(">III", 1, count, tick)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, 1, 1)),
        _full(b"stsz", struct.pack(f">II{count}I", 0, count, *map(len, pictures))),
        _full(b"stco", struct.pack(f">I{count}I", count, *offsets)),
    )
    reference = _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1)))
    information = _box(b"minf", _full(b"vmhd", bytes(8), flags=1), reference, table)
    media = _box(
        b"mdia",
        _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1000, length, 0x55C4, 0)),
        _full(b"hdlr", bytes(4) + b"vide" + bytes(12) + b"video\0"),
        information,
    )
    times = struct.pack(">IIIII", 0, 0, 1, 0, length)
    size = struct.pack(">II", width << 16, height << 16)
    track = _box(b"trak", _full(b"tkhd", times, bytes(16), MATRIX, size, flags=3), media)
    movie = struct.pack(">IIIIIH", 0, 0, 1000, length, 0x10000, 0x100) + bytes(10)
    movie = _full(b"mvhd", movie, MATRIX, bytes(24), struct.pack(">I", 2))
    return head + _box(b"mdat", *pictures) + _box(b"moov", movie, track)


def _element(kind: str, body: bytes) -> bytes:
    return bytes.fromhex(kind) + (len(body) | 1 << 56).to_bytes(8, "big") + body


def _number(kind: str, value: int) -> bytes:
    return _element(kind, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def webm(frames: Sequence[Pixels], prompt_id: str, fps: float) -> bytes:
    """Return a WebM whose frames are VP8 key frames.

    Args:
        frames: At least one, all of one size.
        prompt_id: Written into each frame, and as the title of the file.
        fps: Frames per second.
    """
    height, width = frames[0].shape[:2]
    head = _number("4286", 1) + _number("42F7", 1) + _number("42F2", 4) + _number("42F3", 8)
    head += _element("4282", b"webm") + _number("4287", 2) + _number("4285", 2)
    duration = struct.pack(">d", len(frames) * 1000 / fps)
    info = _number("2AD7B1", 1_000_000) + _element("7BA9", mark(prompt_id))
    info += _element("4489", duration) + _element("4D80", b"stand-in") + _element("5741", b"s")
    video = _element("E0", _number("B0", width) + _number("BA", height))
    track = _number("D7", 1) + _number("73C5", 1) + _number("83", 1) + _element("86", b"V_VP8")
    blocks = b""
    for index, frame in enumerate(frames):
        start = struct.pack(">BhB", 0x81, int(index * 1000 / fps), 0x80)
        blocks += _element("A3", start + _vp8(frame, prompt_id))
    segment = _element("1549A966", info) + _element("1654AE6B", _element("AE", track + video))
    segment += _element("1F43B675", _number("E7", 0) + blocks)
    return _element("1A45DFA3", head) + _element("18538067", segment)


def _vp8(pixels: Pixels, prompt_id: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(stamp(pixels, prompt_id)).save(out, "WEBP", quality=90)
    content = out.getvalue()
    start = content.index(b"VP8 ")
    length = int.from_bytes(content[start + 4 : start + 8], "little")
    return content[start + 8 : start + 8 + length]

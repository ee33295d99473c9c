"""Small real files of the kinds a worker makes; each one carries the prompt id of its run.

FLAC, MP4 and WebM are written by hand, so that the tests need no codec library: FLAC with
uncompressed frames, MP4 with JPEG frames, WebM with the VP8 key frames that WebP consists of.
"""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING, Any

from PIL import Image, PngImagePlugin

from tests.fakes.comfyui.watermark import mark, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.fakes.comfyui.watermark import Pixels

RATE = 44100
FLAC_BLOCK = 4096


def png(pixels: Pixels, prompt_id: str, texts: Mapping[str, str], level: int = 4) -> bytes:
    """Return a PNG with text chunks."""
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    out = io.BytesIO()
    picture = Image.fromarray(stamp(pixels, prompt_id))
    picture.save(out, "PNG", pnginfo=info, compress_level=level)
    return out.getvalue()


def jpeg(pixels: Pixels, prompt_id: str) -> bytes:
    """Return a JPEG, as previews are."""
    out = io.BytesIO()
    Image.fromarray(stamp(pixels, prompt_id)).save(out, "JPEG", quality=95)
    return out.getvalue()


def animated(frames: Sequence[Pixels], prompt_id: str, fps: float, kind: str) -> bytes:
    """Return an animated WebP or PNG.

    Args:
        frames: At least one.
        prompt_id: Written into each frame.
        fps: Frames per second.
        kind: "WEBP" or "PNG".
    """
    pictures = [Image.fromarray(stamp(frame, prompt_id)) for frame in frames]
    for index, picture in enumerate(pictures):  # equal frames would be merged into one
        corner = (picture.width - 1, picture.height - 1)
        picture.putpixel(corner, (index * 40 % 256, 128, 255 - index * 40 % 256))
    out = io.BytesIO()
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    pictures[0].save(
        out,
        kind,
        save_all=True,
        append_images=pictures[1:],
        duration=max(1, int(1000 / fps)),
        **options,
    )
    return out.getvalue()


def _samples(prompt_id: str, count: int) -> bytes:
    """Return 16-bit samples: the prompt id, then silence."""
    text = mark(prompt_id)
    return (text + bytes(len(text) % 2)).ljust(count * 2, b"\0")[: max(count * 2, 64)]


def wav(prompt_id: str, seconds: float) -> bytes:
    """Return a mono WAV."""
    data = _samples(prompt_id, int(seconds * RATE))
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def flac(prompt_id: str, seconds: float) -> bytes:
    """Return a mono FLAC of uncompressed frames."""
    data = _samples(prompt_id, int(seconds * RATE))
    count = len(data) // 2
    packed = (RATE << 44) | (0 << 41) | (15 << 36) | count
    info = struct.pack(">HH", FLAC_BLOCK, FLAC_BLOCK) + bytes(6) + packed.to_bytes(8, "big")
    frames = b""
    for index, start in enumerate(range(0, count, FLAC_BLOCK)):
        part = data[start * 2 : (start + FLAC_BLOCK) * 2]
        head = b"\xff\xf8\x79\x08" + _utf8(index) + struct.pack(">H", len(part) // 2 - 1)
        frame = head + bytes([_crc(head, 8, 0x07)]) + b"\x02" + part
        frames += frame + _crc(frame, 16, 0x8005).to_bytes(2, "big")
    return b"fLaC\x80\x00\x00\x22" + info + bytes(16) + frames


def _utf8(number: int) -> bytes:
    return chr(number).encode()


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    table = _CRC_TABLES.setdefault(bits, _crc_table(bits, polynomial))
    value, mask = 0, (1 << bits) - 1
    for byte in data:
        value = ((value << 8) & mask) ^ table[(value >> (bits - 8)) ^ byte]
    return value


def _crc_table(bits: int, polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
        table.append(value)
    return table


_CRC_TABLES: dict[int, list[int]] = {}


def mp3(prompt_id: str, seconds: float) -> bytes:
    """Return silent MPEG-1 layer III frames behind a tag; the prompt id is in unused bytes."""
    text = b"\x03prompt\0{}"
    tag = b"TXXX" + len(text).to_bytes(4, "big") + b"\0\0" + text
    head = b"ID3\x04\0\0" + len(tag).to_bytes(4, "big") + tag
    frame = b"\xff\xfb\x90\xc4" + bytes(32)
    rest = mark(prompt_id).ljust(417 - len(frame), b"\0")[: 417 - len(frame)]
    return head + (frame + rest) * max(3, int(seconds * RATE / 1152))


def opus(prompt_id: str, seconds: float) -> bytes:
    """Return silent Opus in Ogg, the prompt id in its comments."""
    comment = mark(prompt_id)
    tags = b"OpusTags" + struct.pack("<I", 8) + b"stand-in" + struct.pack("<I", 1)
    tags += struct.pack("<I", len(comment)) + comment
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48000, 0, 0)
    pages = [_ogg_page(head, 0, 0, 2), _ogg_page(tags, 0, 1, 0)]
    count = max(1, int(seconds * 50))  # packets of 20 ms
    for index in range(count):
        kind = 4 if index == count - 1 else 0
        pages.append(_ogg_page(b"\xf8\xff\xfe", (index + 1) * 960, index + 2, kind))
    return b"".join(pages)


def _ogg_page(packet: bytes, position: int, number: int, kind: int) -> bytes:
    lacing = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    head = struct.pack("<4sBBqII", b"OggS", 0, kind, position, 1, number)
    rest = bytes([len(lacing)]) + lacing + packet
    check = _crc(head + bytes(4) + rest, 32, 0x04C11DB7)
    return head + check.to_bytes(4, "little") + rest


def glb(prompt_id: str) -> bytes:
    """Return a triangle as binary glTF, the prompt id behind its vertices."""
    triangle = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    data = triangle + mark(prompt_id)
    data += bytes(-len(data) % 4)
    content = {
        "asset": {"version": "2.0", "generator": "stand-in"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": 3,
                "type": "VEC3",
                "min": [0, 0, 0],
                "max": [1, 1, 0],
            }
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(triangle)}],
        "buffers": [{"byteLength": len(data)}],
    }
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text
    body += struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def svg(prompt_id: str) -> bytes:
    """Return an SVG with the prompt id as a description."""
    text = mark(prompt_id)[:-1].decode()
    return f'<svg xmlns="http://www.w3.org/2000/svg"><desc>{text}</desc></svg>'.encode()

"""Pictures: only what is needed to draw them stays."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PNG_NEEDED = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP mDCV cLLI sBIT bKGD pHYs "
    b"acTL fcTL fdAT".split()
)
_WEBP_NEEDED = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
_WEBP_METADATA_FLAGS = 0x0C  # EXIF and XMP, in the first byte of VP8X
_JPEG_NEEDED_APPS = ((0xE0, b"JFIF\0"), (0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe"))
_GIF_LOOPS = frozenset({b"NETSCAPE2.0", b"ANIMEXTS1.0"})


def strip_png(data: bytes) -> bytes:
    """Keep the chunks that draw; texts, EXIF, times, manifests and whatever follows IEND go."""
    kept = [data[:8]]
    place = 8
    while True:
        (size,) = struct.unpack_from(">I", data, place)
        name = data[place + 4 : place + 8]
        end = place + 12 + size
        if end > len(data):
            raise ValueError("a chunk is cut off")
        if name in _PNG_NEEDED:
            kept.append(data[place:end])
        if name == b"IEND":
            return b"".join(kept)
        place = end


def strip_jpeg(data: bytes) -> bytes:
    """Keep the picture, its colour profile and the markers that its decoding needs."""
    kept = [b"\xff\xd8"]
    place = 2
    while True:
        if data[place] != 0xFF:
            raise ValueError("no marker where one must be")
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker == 0xD9:
            kept.append(b"\xff\xd9")
            return b"".join(kept)
        (size,) = struct.unpack_from(">H", data, place + 2)
        end = place + 2 + size
        if size < 2 or end > len(data):
            raise ValueError("a segment is cut off")
        if _is_needed_in_jpeg(marker, data[place + 4 : end]):
            kept.append(data[place:end])
        place = end
        if marker == 0xDA:
            scan_end = _end_of_scan(data, place)
            kept.append(data[place:scan_end])
            place = scan_end


def _is_needed_in_jpeg(marker: int, content: bytes) -> bool:
    if marker == 0xFE:
        return False
    if 0xE0 <= marker <= 0xEF:
        return any(marker == app and content.startswith(word) for app, word in _JPEG_NEEDED_APPS)
    return True


def _end_of_scan(data: bytes, place: int) -> int:
    """Where the compressed bytes end: at a marker that is no stuffing and no restart."""
    while True:
        place = data.index(b"\xff", place)
        follower = data[place + 1]
        if follower != 0 and not 0xD0 <= follower <= 0xD7:
            return place
        place += 2


def riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and whole bytes (header and padding included) of each chunk of a RIFF file.

    A size beyond the end is believed up to the end: recorders that were cut off leave such.
    """
    (total,) = struct.unpack_from("<I", data, 4)
    end_of_all = min(len(data), 8 + total)
    place = 12
    while place + 8 <= end_of_all:
        (size,) = struct.unpack_from("<I", data, place + 4)
        end = min(place + 8 + size + size % 2, end_of_all)
        yield data[place : place + 4], data[place:end]
        place = end


def riff_file(form: bytes, chunks: list[bytes]) -> bytes:
    """A RIFF file of chunks as `riff_chunks` gives them."""
    body = b"".join(chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + form + body


def strip_webp(data: bytes) -> bytes:
    """Keep picture, animation, transparency and colour profile."""
    (total,) = struct.unpack_from("<I", data, 4)
    if 8 + total > len(data):
        raise ValueError("it is cut off")
    kept = []
    for name, chunk in riff_chunks(data):
        if name not in _WEBP_NEEDED:
            continue
        if name == b"VP8X":
            flags = chunk[8] & ~_WEBP_METADATA_FLAGS
            chunk = chunk[:8] + bytes([flags]) + chunk[9:]
        kept.append(chunk)
    return riff_file(b"WEBP", kept)


def strip_gif(data: bytes) -> bytes:
    """Keep frames, their timing and the loop; comments, XMP and other applications' parts go."""
    place = 13 + _gif_colours(data[10])
    kept = [data[:place]]
    while True:
        introducer = data[place]
        if introducer == 0x3B:
            kept.append(b";")
            return b"".join(kept)
        if introducer == 0x21:
            end = _end_of_gif_blocks(data, place + 2)
            label, application = data[place + 1], data[place + 3 : place + 14]
            if label == 0xF9 or (label == 0xFF and application in _GIF_LOOPS):
                kept.append(data[place:end])
        elif introducer == 0x2C:
            end = _end_of_gif_blocks(data, place + 11 + _gif_colours(data[place + 9]))
            kept.append(data[place:end])
        else:
            raise ValueError("no block where one must be")
        place = end


def _gif_colours(flags: int) -> int:
    """Bytes of the colour table that a flag byte announces."""
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0


def _end_of_gif_blocks(data: bytes, place: int) -> int:
    while data[place]:
        place += 1 + data[place]
    return place + 1

"""Ogg: the comment packet is one of the stream's headers, so its pages are laid out anew.

Pages carry a number and a checksum (RFC 3533), which is why all pages behind the headers are
written again, too; the packets in them stay as they are.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace

_HEADER = struct.Struct("<4sBBqIIIB")
_CONTINUED = 1
_SEGMENTS_PER_PAGE = 255


@dataclass(frozen=True)
class _Page:
    flags: int
    granule: int
    serial: int
    segments: bytes
    body: bytes


def with_empty_comments(data: bytes) -> bytes:
    """The same stream with a comment header that says nothing.

    Raises:
        ValueError: It is no single stream of Opus or Vorbis.
    """
    pages = _pages(data)
    if len({page.serial for page in pages}) != 1:
        raise ValueError("there is more than one stream")
    first = pages[0]
    if first.body.startswith(b"OpusHead"):
        wanted, comment = 1, b"OpusTags" + bytes(8)
    elif first.body.startswith(b"\x01vorbis"):
        wanted, comment = 2, b"\x03vorbis" + bytes(8) + b"\x01"
    else:
        raise ValueError("it is neither Opus nor Vorbis")
    packets, used = _packets(pages[1:], wanted)
    if packets[0] == comment:
        return data
    packets[0] = comment
    rest = pages[1 + used :]
    return _written([first, *_laid_out(packets, first.serial), *rest])


def _pages(data: bytes) -> list[_Page]:
    pages = []
    place = 0
    while place < len(data):
        magic, _, flags, granule, serial, _, _, count = _HEADER.unpack_from(data, place)
        if magic != b"OggS":
            raise ValueError("no page where one must be")
        segments = data[place + _HEADER.size : place + _HEADER.size + count]
        start = place + _HEADER.size + count
        place = start + sum(segments)
        if place > len(data):
            raise ValueError("a page is cut off")
        pages.append(_Page(flags, granule, serial, segments, data[start:place]))
    return pages


def _packets(pages: list[_Page], wanted: int) -> tuple[list[bytes], int]:
    """The first packets, and how many pages they fill; no other packet may share their last."""
    packets, current = [], bytearray()
    for used, page in enumerate(pages, start=1):
        place = 0
        for number, size in enumerate(page.segments, start=1):
            current += page.body[place : place + size]
            place += size
            if size < _SEGMENTS_PER_PAGE:
                packets.append(bytes(current))
                current.clear()
            if len(packets) == wanted:
                if number != len(page.segments):
                    raise ValueError("sound begins on a header's page")
                return packets, used
    raise ValueError("the headers are cut off")


def _laid_out(packets: list[bytes], serial: int) -> list[_Page]:
    """Packets on as few pages as hold them."""
    sizes, body = bytearray(), b"".join(packets)
    for packet in packets:
        sizes += b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    pages = []
    place = 0
    for start in range(0, len(sizes), _SEGMENTS_PER_PAGE):
        segments = bytes(sizes[start : start + _SEGMENTS_PER_PAGE])
        end = place + sum(segments)
        continued = start > 0 and sizes[start - 1] == 255
        pages.append(_Page(_CONTINUED if continued else 0, 0, serial, segments, body[place:end]))
        place = end
    return [
        replace(page, granule=0 if any(size < 255 for size in page.segments) else -1)
        for page in pages
    ]


def _written(pages: list[_Page]) -> bytes:
    written = []
    for number, page in enumerate(pages):
        head = [b"OggS", 0, page.flags, page.granule, page.serial, number]
        tail = page.segments + page.body
        blank = _HEADER.pack(*head, 0, len(page.segments)) + tail
        written.append(_HEADER.pack(*head, _checksum(blank), len(page.segments)) + tail)
    return b"".join(written)


_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def _checksum(page: bytes) -> int:
    """Ogg's checksum: zlib's polynomial, but bits mirrored and nothing inverted."""
    crc = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)

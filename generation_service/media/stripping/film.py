"""Films: metadata is blanked where it stands, since other parts name absolute places in the file.

MP4 and QuickTime have a box for free space, Matroska an element for void, so a blanked file is as
regular as before and of the same size.
"""

from __future__ import annotations

import struct

_MP4_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"moof", b"traf", b"edts", b"minf"})
_MP4_METADATA = frozenset({b"udta", b"meta", b"uuid"})
_MAX_DEPTH = 8

_HANDLER_NAME_OFFSET = 24

_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_MATROSKA_CONTAINERS = frozenset({0x1549A966, 0x1654AE6B, 0xAE})  # Info, Tracks, TrackEntry
_MATROSKA_METADATA = frozenset(
    {
        0x1254C367,  # Tags
        0x1941A469,  # Attachments
        0x1043A770,  # Chapters
        0x7BA9,  # Title
        0x536E,  # Name of a track
        0x7384,  # SegmentFilename, and the next two: of its neighbours
        0x3C83AB,
        0x3E83BB,
        0x4461,  # DateUTC
    }
)
_VOID = 0xEC


def strip_mp4(data: bytes) -> bytes:
    """Turn user data, metadata and foreign boxes into free space."""
    film = bytearray(data)
    _blank_boxes(film, 0, len(film), 0)
    return bytes(film)


def _blank_boxes(film: bytearray, place: int, end: int, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("boxes are nested too deeply")
    while place + 8 <= end:
        size, name = struct.unpack_from(">I4s", film, place)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", film, place + 8)
            header = 16
        elif size == 0:
            size = end - place
        if size < header or place + size > end:
            raise ValueError("a box is cut off")
        if name in _MP4_METADATA:
            film[place + 4 : place + 8] = b"free"
            film[place + header : place + size] = bytes(size - header)
        elif name in _MP4_CONTAINERS:
            _blank_boxes(film, place + header, place + size, depth + 1)
        elif name == b"hdlr":  # its kind is needed, its name is anybody's text
            start = min(place + header + _HANDLER_NAME_OFFSET, place + size)
            film[start : place + size] = bytes(place + size - start)
        elif name in (b"free", b"skip"):
            film[place + header : place + size] = bytes(size - header)
        place += size


def strip_webm(data: bytes) -> bytes:
    """Turn tags, attachments, titles and names into void."""
    film = bytearray(data)
    _, content, size = _element(film, 0)  # the EBML header tells nothing about its maker
    place = content + (size or 0)
    _blank_elements(film, place, len(film))
    return bytes(film)


def _blank_elements(film: bytearray, place: int, end: int) -> None:
    while place < end:
        identity, content, size = _element(film, place)
        if size is None and identity not in (_SEGMENT, _CLUSTER):
            raise ValueError("an element has no size")
        if identity == _SEGMENT or size is None:
            place = content  # its children follow, up to the end
            continue
        if content + size > end:
            raise ValueError("an element is cut off")
        if identity in _MATROSKA_METADATA:
            _make_void(film, place, content + size)
        elif identity in _MATROSKA_CONTAINERS:
            _blank_elements(film, content, content + size)
        place = content + size


def _element(film: bytearray, place: int) -> tuple[int, int, int | None]:
    """Identity, where its content begins, and the content's size; None: not known when written."""
    identity_bytes = _width(film[place], 4)
    identity = int.from_bytes(film[place : place + identity_bytes], "big")
    place += identity_bytes
    size_bytes = _width(film[place], 8)
    if place + size_bytes > len(film):
        raise ValueError("an element is cut off")
    mask = (1 << 7 * size_bytes) - 1
    size = int.from_bytes(film[place : place + size_bytes], "big") & mask
    return identity, place + size_bytes, None if size == mask else size


def _width(first: int, most: int) -> int:
    """Bytes of a number of variable width, told by the zeros before its first one."""
    width = 9 - first.bit_length()
    if width > most:
        raise ValueError("a number is too wide")
    return width


def _make_void(film: bytearray, place: int, end: int) -> None:
    """Write one void element over `place` to `end`."""
    total = end - place
    width = 1 if total - 2 < 127 else 8
    film[place:end] = bytes(total)
    film[place] = _VOID
    size = total - 1 - width
    film[place + 1 : place + 1 + width] = (size | 1 << 7 * width).to_bytes(width, "big")

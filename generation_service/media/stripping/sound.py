"""Sounds: the samples and what a decoder needs stay."""

from __future__ import annotations

import struct

from generation_service.media.stripping.ogg import with_empty_comments
from generation_service.media.stripping.pictures import riff_chunks, riff_file

_WAV_NEEDED = frozenset({b"fmt ", b"fact", b"data"})
_FLAC_STREAMINFO, _FLAC_SEEKTABLE = 0, 3
_ID3V1_BYTES = 128
_APE_BYTES = 32


def strip_wav(data: bytes) -> bytes:
    """Keep format and samples."""
    kept = {name: chunk for name, chunk in riff_chunks(data) if name in _WAV_NEEDED}
    if b"fmt " not in kept or b"data" not in kept:
        raise ValueError("format or samples are missing")
    return riff_file(b"WAVE", list(kept.values()))


def strip_flac(data: bytes) -> bytes:
    """Keep the stream's facts and its seek table; comments, pictures and padding go."""
    blocks = []
    place, is_last = 4, False
    while not is_last:
        (header,) = struct.unpack_from(">I", data, place)
        is_last = bool(header >> 31)
        end = place + 4 + (header & 0xFFFFFF)
        if end > len(data):
            raise ValueError("a block is cut off")
        kind = header >> 24 & 0x7F
        if kind in (_FLAC_STREAMINFO, _FLAC_SEEKTABLE):
            blocks.append((kind, data[place + 4 : end]))
        place = end
    if not blocks or blocks[0][0] != _FLAC_STREAMINFO:
        raise ValueError("the stream's facts are missing")
    kept = [b"fLaC"]
    for number, (kind, block) in enumerate(blocks, start=1):
        mark = 0x80 if number == len(blocks) else 0
        kept.append(bytes([mark | kind]) + len(block).to_bytes(3, "big") + block)
    return b"".join([*kept, data[place:]])


def strip_mp3(data: bytes) -> bytes:
    """Take ID3v2 off the front, ID3v1 and APE off the end; the frames stay."""
    start, end = 0, len(data)
    while data[start : start + 3] == b"ID3":
        start += 10 + _syncsafe(data[start + 6 : start + 10])
        start += 10 if data[start - 10 : start - 7] == b"3DI" else 0
        if start >= end:
            raise ValueError("there is nothing behind the tag")
    if data[end - _ID3V1_BYTES : end - _ID3V1_BYTES + 3] == b"TAG":
        end -= _ID3V1_BYTES
    footer = data[end - _APE_BYTES : end]
    if footer.startswith(b"APETAGEX"):
        size, _, flags = struct.unpack_from("<III", footer, 12)
        end -= size + (_APE_BYTES if flags >> 31 else 0)
    if end <= start:
        raise ValueError("there is nothing but tags")
    return data[start:end]


def _syncsafe(digits: bytes) -> int:
    """A number of four times seven bits."""
    first, second, third, fourth = digits
    return first << 21 | second << 14 | third << 7 | fourth


def strip_ogg(data: bytes) -> bytes:
    """Empty the comments of an Opus or Vorbis stream."""
    return with_empty_comments(data)

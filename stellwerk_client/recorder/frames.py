"""The form in which the spool keeps what must reach the tracker.

A frame is a header (length and CRC-32) and a payload. The payload is one field of a
`RecordItemsRequest` exactly as protobuf writes it, tag and length included. So a batch is made by
joining payloads: nothing is parsed or written a second time between `record()` and the wire, and
one format serves live sending, resending and the adoption of a dead process's spool.
"""

from __future__ import annotations

import struct
from typing import NamedTuple
from zlib import crc32

HEADER = struct.Struct("<II")
"""Length of the payload and its CRC-32, little-endian."""

ITEM = 0x0A
"""Tag of `RecordItemsRequest.items`."""
PLAN = 0x12
"""Tag of `RecordItemsRequest.plans`."""
HEARTBEAT = 0x1A
"""Tag of `RecordItemsRequest.heartbeats`."""
TRACE_PARENT = 0x2A
"""Tag of `RecordItemsRequest.trace_parents`."""
BATCH_NUMBER = 0x20
"""Tag of `RecordItemsRequest.batch_number`."""

MAX_PAYLOAD_BYTES = 3 * 1024 * 1024
"""Longer than any payload that is written; a header that says more is damaged."""

_KINDS = frozenset((ITEM, PLAN, HEARTBEAT, TRACE_PARENT))


def varint(value: int) -> bytes:
    """Return `value` (0 or more) as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(tag: int, message: bytes) -> bytes:
    """Return a serialized message as the field `tag` of a request."""
    length = len(message)
    if 0x80 <= length < 0x4000:  # nearly every item; the loop of varint() costs ten times as much
        return bytes((tag, length & 0x7F | 0x80, length >> 7)) + message
    return bytes((tag,)) + varint(length) + message


def frame(payload: bytes) -> bytes:
    """Return `payload` with its header.

    Raises:
        ValueError: It is longer than a reader would believe.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError("payload too long")
    return HEADER.pack(len(payload), crc32(payload)) + payload


def framed_bytes(payloads: list[bytes]) -> int:
    """Return how many bytes `payloads` take in a segment."""
    return sum(map(len, payloads)) + HEADER.size * len(payloads)


def item_count(payloads: list[bytes]) -> int:
    """Return how many of `payloads` are items."""
    return sum(payload[0] == ITEM for payload in payloads)


class Frames(NamedTuple):
    """What was read from a piece of a segment.

    Attributes:
        payloads: Sound payloads, in order.
        consumed_bytes: Bytes that are dealt with; the next frame begins there.
        needed_bytes: Bytes from there on that must be at hand to read the next frame.
        damaged_count: Frames skipped because their bytes do not fit their CRC.
        torn: Whether no frame can begin after `consumed_bytes`, however much follows.
    """

    payloads: list[bytes]
    consumed_bytes: int
    needed_bytes: int
    damaged_count: int
    torn: bool


def read_frames(data: bytes, max_count: int) -> Frames:
    """Read frames from the beginning of `data`.

    A frame whose bytes changed on the disk is skipped, since its length still tells where the next
    one begins. A header that makes no sense ends the segment: it is the tail of a write that was
    cut off, or zeros that a file system left there.

    Args:
        data: A piece of a segment that begins with a frame.
        max_count: Most frames to read.

    Returns:
        What could be read.
    """
    payloads: list[bytes] = []
    position = damaged = 0
    needed = HEADER.size
    torn = False
    while len(payloads) < max_count and position + HEADER.size <= len(data):
        length, checksum = HEADER.unpack_from(data, position)
        if not 2 <= length <= MAX_PAYLOAD_BYTES:
            torn = True
            break
        begin = position + HEADER.size
        if begin + length > len(data):
            needed = HEADER.size + length
            break
        payload = data[begin : begin + length]
        if crc32(payload) == checksum and payload[0] in _KINDS:
            payloads.append(payload)
        else:
            damaged += 1
        position = begin + length
    return Frames(payloads, position, needed, damaged, torn)

"""Byte ranges of HTTP: players seek in films and sounds by asking for a part of the file."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class ByteRange:
    """A part of a file.

    Attributes:
        first: Its first byte, from 0.
        last: Its last byte, included.
    """

    first: int
    last: int

    @property
    def size(self) -> int:
        """Bytes in it."""
        return self.last - self.first + 1


class UnsatisfiableRangeError(Exception):
    """The range lies outside of the file."""


def read_range(header: str | None, size: int) -> ByteRange | None:
    """Read a `Range` header.

    Args:
        header: As it came; several ranges at once, or nonsense, count as none.
        size: Bytes of the file.

    Returns:
        The part; None: the whole file.

    Raises:
        UnsatisfiableRangeError: No byte of the file is in it.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or not any(match.groups()):
        return None
    first_text, last_text = match.groups()
    if not first_text:  # the last so many bytes
        first, last = max(0, size - int(last_text)), size - 1
    else:
        first = int(first_text)
        last = min(int(last_text), size - 1) if last_text else size - 1
    if first >= size or last < first:
        raise UnsatisfiableRangeError
    return ByteRange(first, last)

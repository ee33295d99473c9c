"""One file of the spool: written by one, read by the sender, removed once all of it is settled."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from stellwerk_client.recorder.frames import framed_bytes, read_frames

if TYPE_CHECKING:
    from pathlib import Path

READ_BYTES = 1024 * 1024
"""Read at once; so a batch stays far below the 3 MiB of the contract."""


class Piece(NamedTuple):
    """The next payloads of a segment.

    Attributes:
        payloads: In order; empty when the rest of the segment is damaged.
        damaged_count: Frames that were skipped.
        torn_bytes: Bytes at the end that hold no whole frame.
    """

    payloads: list[bytes]
    damaged_count: int
    torn_bytes: int


class Segment:
    """A file of frames.

    `append` belongs to the thread that writes, `read` to the sender. The other attributes are
    plain numbers that one thread writes and others may read.

    Attributes:
        path: Where it is.
        size_bytes: How much of it counts; what a failed write left behind it does not.
        read_bytes: How much the sender has taken.
        settled_bytes: How much the tracker has answered, or cannot be read.
        sealed: Whether nothing will be added.
        unreadable: Whether the disk refused to give it back; the file is then left for people.
    """

    def __init__(self, path: Path, descriptor: int, size_bytes: int, *, sealed: bool) -> None:
        """Take over an open file; see `create` and `open_existing`."""
        self.path = path
        self.size_bytes = size_bytes
        self.read_bytes = 0
        self.settled_bytes = 0
        self.sealed = sealed
        self.unreadable = False
        self._descriptor = descriptor

    @classmethod
    def create(cls, path: Path) -> Segment:
        """Make a new file to append to.

        Raises:
            OSError: The disk does not let us.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return cls(path, os.open(path, flags, 0o600), 0, sealed=False)

    @classmethod
    def existing(cls, path: Path) -> Segment:
        """Take a file that a dead process left; it is opened when it is read.

        Raises:
            OSError: It is not there.
        """
        return cls(path, -1, path.stat().st_size, sealed=True)

    @property
    def unread(self) -> bool:
        """Whether the sender can take more."""
        return self.read_bytes < self.size_bytes

    @property
    def done(self) -> bool:
        """Whether the file is no longer needed."""
        return self.sealed and self.settled_bytes >= self.size_bytes

    def append(self, data: bytes) -> bool:
        """Write whole frames with one system call.

        Returns:
            False: the disk did not take all of it, and nothing of it counts. The segment must be
            sealed then, since part of a frame may stand at its end.
        """
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            return False
        if written != len(data):
            # Readers stop at `size_bytes`; cutting the rest off only helps the next process.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size_bytes)
            return False
        self.size_bytes += written
        return True

    def sync(self) -> bool:
        """Wait until what was written has reached the disk; False when the disk fails."""
        if self._descriptor < 0:
            return True
        try:
            os.fdatasync(self._descriptor)
        except OSError:
            return False
        return True

    def read(self, max_count: int) -> Piece:
        """Take the next payloads.

        Args:
            max_count: Most payloads to take.

        Returns:
            The payloads; what is damaged is skipped and settled.

        Raises:
            OSError: The file cannot be read.
        """
        if self._descriptor < 0:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        available = self.size_bytes - self.read_bytes
        data = os.pread(self._descriptor, min(available, READ_BYTES), self.read_bytes)
        found = read_frames(data, max_count)
        if not found.consumed_bytes and len(data) < found.needed_bytes <= available:
            data = os.pread(self._descriptor, found.needed_bytes, self.read_bytes)
            found = read_frames(data, max_count)
        self.read_bytes += found.consumed_bytes
        # Frames that were skipped need no answer.
        self.settled_bytes += found.consumed_bytes - framed_bytes(found.payloads)
        torn = 0
        if found.torn or not found.consumed_bytes:
            torn = self.size_bytes - self.read_bytes
            self.give_up()
        if self.sealed and not self.unread:
            self.close()  # a long outage leaves many segments; each keeps no descriptor
        return Piece(found.payloads, found.damaged_count, torn)

    def give_up(self) -> None:
        """Count everything that was not read as settled."""
        rest = self.size_bytes - self.read_bytes
        self.read_bytes += rest
        self.settled_bytes += rest

    def remove(self) -> None:
        """Close the file and delete it, unless it could not be read."""
        self.close()
        if self.unreadable:
            return
        with contextlib.suppress(OSError):
            self.path.unlink()

    def close(self) -> None:
        """Close the file and leave it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

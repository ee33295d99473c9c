"""The spool: folders of segments under one root, one locked folder per process.

A folder's lock lives exactly as long as its process. So a folder whose lock is free has lost its
process, and whoever starts next may take it over and send what is in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
from typing import TYPE_CHECKING, NamedTuple

import structlog
import uuid_utils

from stellwerk_client.recorder.segment import Piece, Segment

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger(__name__)

SUFFIX = ".spool"
_FOLDER_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Our folders; whatever else lies beside them, such as `lost+found`, is not touched."""
_LOCK_NAME = "lock"


class SpoolFolder:
    """A folder that this process holds the lock of."""

    def __init__(self, path: Path, lock: int) -> None:
        """Take over a locked folder; see `create` and `adopt`."""
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls, root: Path) -> SpoolFolder:
        """Make a folder of our own.

        Raises:
            OSError: The disk does not let us.
        """
        while True:
            # Named by time, so that the oldest is adopted first.
            path = root / str(uuid_utils.uuid7())
            path.mkdir(parents=True, mode=0o700)
            folder = cls.adopt(path)
            if folder is not None:  # else another process was quicker to take the new folder
                return folder

    @classmethod
    def adopt(cls, path: Path) -> SpoolFolder | None:
        """Lock a folder; None when its process lives or it is gone.

        Raises:
            OSError: The disk does not let us.
        """
        try:
            lock = os.open(path / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with contextlib.ExitStack() as unless_ours:
            unless_ours.callback(os.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None  # its process lives
            if not os.fstat(lock).st_nlink:
                return None  # it was emptied and removed in the meantime
            unless_ours.pop_all()
        return cls(path, lock)

    def segment_paths(self) -> list[Path]:
        """Return the segments, oldest first."""
        return sorted(self.path.glob(f"*{SUFFIX}"))

    def release(self) -> None:
        """Remove the folder if nothing is left in it, and give up the lock."""
        lock, self._lock = self._lock, -1
        if lock < 0:
            return
        if not self.segment_paths():
            with contextlib.suppress(OSError):
                (self.path / _LOCK_NAME).unlink()
                self.path.rmdir()
        os.close(lock)


class Unsent(NamedTuple):
    """Payloads that the sender has taken, where from, and whether a dead process wrote them."""

    segment: Segment
    piece: Piece
    adopted: bool


class Spool:
    """The segments of this process and of the dead ones that it has adopted."""

    def __init__(self, root: Path) -> None:
        """Make an own folder with a first segment below `root`.

        Raises:
            OSError: The disk does not let us.
        """
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._own = SpoolFolder.create(root)
        self._adopted: list[tuple[SpoolFolder, list[Segment]]] = []
        self._segments: list[Segment] = []
        self._number = 0
        self._lock = threading.Lock()

    def new_segment(self) -> Segment:
        """Open a segment to write to; nobody reads it before `add`.

        Raises:
            OSError: The disk does not let us.
        """
        self._number += 1
        return Segment.create(self._own.path / f"{self._number:010d}{SUFFIX}")

    def add(self, segment: Segment) -> None:
        """Let the sender read `segment`, after those that are there."""
        with self._lock:
            self._segments.append(segment)

    def adopt_orphans(self) -> int:
        """Take over the folders of dead processes.

        Returns:
            How many bytes they hold.
        """
        known = {self._own.path, *(folder.path for folder, _ in self._adopted)}
        found: list[Segment] = []
        for path in sorted(self._root.iterdir()):
            if path in known or not _FOLDER_NAME.fullmatch(path.name):
                continue
            try:
                folder = SpoolFolder.adopt(path)
                segments = (
                    [Segment.existing(file) for file in folder.segment_paths()] if folder else []
                )
            except OSError as exc:
                log.warning("spool_folder_not_adopted", folder=path.name, error=type(exc).__name__)
                continue
            if folder is not None:
                self._adopted.append((folder, segments))
                found += segments
        with self._lock:
            self._segments[:0] = found  # history first
        size = sum(segment.size_bytes for segment in found)
        if found:
            log.info("spool_adopted", segment_count=len(found), size_bytes=size)
        return size

    def next_unsent(self, max_count: int) -> Unsent | None:
        """Take the next payloads that nobody has taken; None when there are none now.

        Args:
            max_count: Most payloads to take.
        """
        with self._lock:
            unread = [segment for segment in self._segments if segment.unread]
        for segment in unread:
            try:
                piece = segment.read(max_count)
            except OSError as exc:
                log.error("spool_unreadable", segment=segment.path.name, error=type(exc).__name__)
                segment.unreadable = True
                segment.give_up()
                continue
            if piece.damaged_count or piece.torn_bytes:
                log.warning(
                    "spool_damaged",
                    segment=segment.path.name,
                    damaged_count=piece.damaged_count,
                    torn_bytes=piece.torn_bytes,
                )
            if piece.payloads:
                return Unsent(segment, piece, segment.path.parent != self._own.path)
        return None

    def stored_bytes(self) -> int:
        """Return the size of all segments."""
        with self._lock:
            return sum(segment.size_bytes for segment in self._segments)

    def unread(self) -> bool:
        """Tell whether the sender can take more."""
        with self._lock:
            return any(segment.unread for segment in self._segments)

    def sweep(self) -> None:
        """Remove the segments that are settled, and adopted folders that are empty then."""
        with self._lock:
            done = [segment for segment in self._segments if segment.done]
            if done:
                self._segments = [segment for segment in self._segments if not segment.done]
        for segment in done:
            segment.remove()
        emptied = [pair for pair in self._adopted if all(segment.done for segment in pair[1])]
        for pair in emptied:
            self._adopted.remove(pair)
            pair[0].release()

    def close(self) -> None:
        """Give up all locks; what is not settled stays for the next process."""
        self.sweep()
        with self._lock:
            segments, self._segments = self._segments, []
        for segment in segments:
            segment.close()
        for folder, _ in self._adopted:
            folder.release()
        self._own.release()

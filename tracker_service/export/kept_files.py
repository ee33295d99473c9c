"""Built files, kept for a while so that a broken download goes on where it was.

They hold people's texts outside of the database, so they do not live long: they are removed some
minutes after the last reader has gone, whenever a person is erased, and at every start.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = structlog.get_logger(__name__)

MOST_FILES: Final = 16
"""Kept at once; beyond, those that nobody reads go first."""


class KeptFile:
    """A file and its folder.

    Attributes:
        number: Its name in cursors; cannot be guessed.
        folder: Its own folder.
        path: The file.
        ready: It is whole.
    """

    def __init__(self, number: int, folder: Path) -> None:
        """Name the file in `folder`, which exists."""
        self.number = number
        self.folder = folder
        self.path = folder / "export"
        self.ready = False
        self.readers = 0
        self.timer: asyncio.TimerHandle | None = None


class KeptFiles:
    """The built files of one tracker; lives in the event loop."""

    def __init__(self, folder: Path, keep_seconds: float) -> None:
        """Keep files under `folder`; what a killed tracker left there is removed.

        Args:
            folder: A folder for this alone.
            keep_seconds: How long a file stays after its last reader.
        """
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = folder
        self._keep_seconds = keep_seconds
        self._files: dict[int, KeptFile] = {}

    @contextmanager
    def building(self) -> Iterator[KeptFile]:
        """Make room for a new file, which is kept if it is `ready` in the end.

        Raises:
            OSError: The folder cannot be made.
        """
        self._make_room()
        number = secrets.randbits(62)
        folder = self._folder / f"{number:016x}"
        folder.mkdir(parents=True, mode=0o700)
        file = KeptFile(number, folder)
        self._files[number] = file
        with self._reading(file):
            yield file

    @contextmanager
    def open(self, number: int) -> Iterator[KeptFile | None]:
        """Use a file that was built before; None: it is there no more."""
        file = self._files.get(number)
        if file is None or not file.ready:
            yield None
            return
        with self._reading(file):
            yield file

    @contextmanager
    def _reading(self, file: KeptFile) -> Iterator[None]:
        file.readers += 1
        if file.timer is not None:
            file.timer.cancel()
        try:
            yield
        finally:
            file.readers -= 1
            if file.readers == 0:
                self._let_go(file)

    def _let_go(self, file: KeptFile) -> None:
        if not file.ready or file.number not in self._files:
            self._remove(file)
            return
        loop = asyncio.get_running_loop()
        file.timer = loop.call_later(self._keep_seconds, self._remove, file)

    def _make_room(self) -> None:
        idle = [file for file in self._files.values() if file.readers == 0]
        for file in idle[: max(0, len(self._files) - MOST_FILES + 1)]:
            self._remove(file)

    def _remove(self, file: KeptFile) -> None:
        if file.timer is not None:
            file.timer.cancel()
        self._files.pop(file.number, None)
        shutil.rmtree(file.folder, ignore_errors=True)

    async def forget(self) -> None:
        """Remove every file: somebody was erased, or the tracker stops. Downloads begin again."""
        files = list(self._files.values())
        for file in files:
            self._remove(file)
        if files:
            log.info("exports_forgotten", file_count=len(files))

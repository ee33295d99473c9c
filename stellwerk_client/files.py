"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path


class PartFile:
    """A file that is written beside its final name and moved there when it is whole.

    Attributes:
        path: The final name.
        size_bytes: How much was written.
    """

    def __init__(self, path: Path) -> None:
        """Begin an empty file.

        Raises:
            OSError: The folder cannot be made or written to.
        """
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._part.open("wb")
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Remove what was not committed."""
        if not self._file.closed:
            self._file.close()
            with contextlib.suppress(OSError):
                self._part.unlink()

    def write(self, data: bytes) -> None:
        """Append `data`."""
        self._file.write(data)
        self._hash.update(data)
        self.size_bytes += len(data)

    @property
    def sha256(self) -> str:
        """Hash of what was written."""
        return self._hash.hexdigest()

    def commit(self) -> None:
        """Move the file to its final name, safe on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.path)


@dataclass(frozen=True)
class Progress:
    """How far an earlier attempt at an export came.

    Attributes:
        cursor: Where to go on; empty = from the beginning.
        size_bytes: How much of the part file counts.
    """

    cursor: str = ""
    size_bytes: int = 0


class ResumableFile:
    """An export in the making: `<name>.part`, and `<name>.cursor` that says how far it is."""

    def __init__(self, path: Path, request_digest: str) -> None:
        """Take up what is there if it belongs to the same request.

        Args:
            path: The final name.
            request_digest: Tells requests apart.

        Raises:
            OSError: The folder cannot be made or written to.
        """
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        self._cursor = path.with_name(f"{path.name}.cursor")
        self._digest = request_digest
        path.parent.mkdir(parents=True, exist_ok=True)
        self.progress = self._read_progress()
        self._file = self._part.open("r+b" if self._part.exists() else "w+b")
        self._rewind()

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close; the part stays for the next attempt."""
        self._file.close()

    def _read_progress(self) -> Progress:
        try:
            known = json.loads(self._cursor.read_text())
            if known["request"] == self._digest and self._part.stat().st_size >= known["size"]:
                return Progress(str(known["cursor"]), int(known["size"]))
        except (OSError, ValueError, KeyError, TypeError):
            # There is no earlier attempt, or its note is of no use: both mean from the beginning.
            return Progress()
        return Progress()

    def _rewind(self) -> None:
        self._file.truncate(self.progress.size_bytes)
        self._file.seek(self.progress.size_bytes)

    def restart(self) -> None:
        """Forget what is there: the server does not know the cursor any more."""
        self.progress = Progress()
        self._rewind()

    def write(self, data: bytes, cursor: str) -> None:
        """Append `data`; with it the file is complete up to `cursor`."""
        self._file.write(data)
        self._file.flush()
        self.progress = Progress(cursor, self.progress.size_bytes + len(data))
        known = {"request": self._digest, "cursor": cursor, "size": self.progress.size_bytes}
        fresh = self._cursor.with_name(f"{self._cursor.name}.new")
        fresh.write_text(json.dumps(known))
        fresh.replace(self._cursor)

    def commit(self) -> None:
        """Move the file to its final name, safe on the disk."""
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.path)
        self._cursor.unlink(missing_ok=True)

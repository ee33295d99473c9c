"""Takes in the file of an import: on the disk while it arrives, removed when it is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from servicekit.errors import InvalidArgumentError, ResourceExhaustedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tracker_service.export.kept_files import KeptFiles
    from tracker_service.importing.imports import Importer
    from tracker_service.importing.model import Report

MAX_FILE_BYTES: Final = 16 * 1024 * 1024 * 1024
MOST_IMPORTS: Final = 2


class ImportIntake:
    """Imports files that come in pieces."""

    def __init__(self, importer: Importer, files: KeptFiles) -> None:
        """Keep files in `files` while `importer` reads them."""
        self._importer = importer
        self._files = files
        self._running = 0

    async def take(self, pieces: AsyncIterator[bytes], name: str, *, dry_run: bool) -> Report:
        """Import a file.

        Args:
            pieces: Its bytes.
            name: What its owner calls it.
            dry_run: Only say what would be done.

        Raises:
            InvalidArgumentError: FILE_EMPTY or FILE_TOO_LARGE.
            ResourceExhaustedError: IMPORTS_BUSY.
            UnavailableError: EXPORT_DISK_UNAVAILABLE or STORE_UNAVAILABLE.
        """
        if self._running >= MOST_IMPORTS:
            raise ResourceExhaustedError(
                "IMPORTS_BUSY", "Other imports are running; try again.", retry_seconds=5
            )
        self._running += 1
        try:
            with self._files.building() as file:  # never ready, so it is removed in the end
                await _keep(pieces, file.path)
                return await self._importer.import_file(file.path, name, dry_run=dry_run)
        except OSError as exc:
            raise UnavailableError(
                "EXPORT_DISK_UNAVAILABLE",
                "The tracker cannot keep the file; try again later.",
                retry_seconds=60,
            ) from exc
        finally:
            self._running -= 1


async def _keep(pieces: AsyncIterator[bytes], path: Path) -> None:
    """Write a file as it comes in; see `ImportIntake.take`."""
    size = 0
    opened = await asyncio.to_thread(path.open, "wb")
    with opened:
        async for piece in pieces:
            size += len(piece)
            if size > MAX_FILE_BYTES:
                raise InvalidArgumentError(
                    "FILE_TOO_LARGE", "Send at most 16 GiB at once.", field="data"
                )
            await asyncio.to_thread(opened.write, piece)
    if not size:
        raise InvalidArgumentError("FILE_EMPTY", "The file is empty.", field="data")

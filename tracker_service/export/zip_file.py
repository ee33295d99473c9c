"""ZIP: records and their media, to be kept, moved, and imported elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracker_service.export.archive import Archive, MediaChoice
from tracker_service.export.facts import time_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracker_service.export.writers import ExportNote
    from tracker_service.items import MediaRef
    from tracker_service.records import ExecutionRecord


class ZipWriter:
    """Writes `records/`, `media/`, `export.json` and `manifest-sha256.txt`.

    The manifest has the form of `sha256sum`, so `sha256sum -c manifest-sha256.txt` checks it.
    """

    def __init__(self, path: Path, note: ExportNote) -> None:
        """Begin the file; see `WriterFactory`."""
        self._archive = Archive(path, note.created_us)
        self._choice = MediaChoice()
        self._note = note
        self._record_count = 0

    def wanted_media(self, records: Sequence[ExecutionRecord]) -> list[MediaRef]:
        """Want every file once."""
        return self._choice.fresh(records)

    def add_media(self, media: MediaRef, path: Path | None) -> None:
        """Add a file."""
        self._archive.add_media(media, path)

    def write(self, records: Sequence[ExecutionRecord]) -> None:
        """Add records."""
        for record in records:
            self._archive.add_record(record)
        self._record_count += len(records)

    def close(self) -> None:
        """Say what the archive is, and finish it."""
        told = {
            "created_time": time_text(self._note.created_us),
            "software_version": self._note.software_version,
            "record_count": self._record_count,
            "selection": self._note.selection,
        }
        text = json.dumps(told, ensure_ascii=False, indent=2)
        self._archive.add_text("export.json", text + "\n")
        self._archive.close()

    def abandon(self) -> None:
        """Close what is open."""
        self._archive.abandon()

"""PDF: for reading, printing and handing out.

Pages are set by a process of its own, because the typesetter and the decoding of pictures take
memory that a service should get back, and because a broken picture must harm nobody else.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from servicekit.errors import InternalError
from tracker_service.export.archive import MediaChoice
from tracker_service.export.facts import time_text
from tracker_service.export.pdf_pages import pages_of, picture_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracker_service.export.writers import ExportNote
    from tracker_service.items import MediaRef
    from tracker_service.records import ExecutionRecord

TYPESETTING_SECONDS: Final = 300.0


class PdfWriter:
    """Collects pages as JSON and pictures as files, and has them set in the end."""

    def __init__(self, path: Path, note: ExportNote) -> None:
        """Begin the file; see `WriterFactory`."""
        self._path = path
        self._folder = path.with_name("pages")
        self._folder.mkdir()
        self._note = note
        self._choice = MediaChoice()
        self._names: list[str] = []

    def wanted_media(self, records: Sequence[ExecutionRecord]) -> list[MediaRef]:
        """Want every picture once."""
        return [
            media for media in self._choice.fresh(records) if media.mime_type.startswith("image/")
        ]

    def add_media(self, media: MediaRef, path: Path | None) -> None:
        """Put a picture beside the pages."""
        if path is not None:
            path.replace(self._folder / f"{picture_name(media)}.raw")

    def write(self, records: Sequence[ExecutionRecord]) -> None:
        """Put the pages of records beside each other."""
        for record in records:
            name = f"record-{len(self._names)}.json"
            text = json.dumps(pages_of(record), ensure_ascii=False)
            (self._folder / name).write_text(text, encoding="utf-8")
            self._names.append(name)

    def close(self) -> None:
        """Set the pages.

        Raises:
            InternalError: It did not work, or not in time.
        """
        about = {
            "title": "Records of executions",
            "created": f"{time_text(self._note.created_us)[:16].replace('T', ' ')} UTC",
            "software_version": self._note.software_version,
            "records": self._names,
        }
        (self._folder / "export.json").write_text(json.dumps(about), encoding="utf-8")
        module = "tracker_service.export.pdf_process"
        command = [sys.executable, "-P", "-m", module, str(self._folder), str(self._path)]
        try:
            subprocess.run(command, check=True, timeout=TYPESETTING_SECONDS)
        except subprocess.SubprocessError as exc:
            raise InternalError("TYPESETTING_FAILED", "The pages could not be set.") from exc

    def abandon(self) -> None:
        """Nothing is open."""

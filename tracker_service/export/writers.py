"""What writes a file of records, and how it is found.

Each format has its own module, imported when somebody asks for that format: some of the libraries
weigh more than the whole tracker, which should stay small on a school's machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

from tracker_service.export.formats import ExportFormat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracker_service.items import MediaRef
    from tracker_service.records import ExecutionRecord


@dataclass(frozen=True, slots=True)
class ExportNote:
    """What a file says about itself.

    Attributes:
        created_us: When it was asked for, microseconds since 1970 UTC.
        selection: The filters and options, as JSON values.
        software_version: Of this tracker.
    """

    created_us: int
    selection: dict[str, object]
    software_version: str


class RecordWriter(Protocol):
    """Writes one file. Its methods run in a thread, one at a time, and may block."""

    def wanted_media(self, records: Sequence[ExecutionRecord]) -> list[MediaRef]:
        """Return the files that belong into the export and were not asked for yet."""

    def add_media(self, media: MediaRef, path: Path | None) -> None:
        """Take the bytes of a file, before the records that refer to it.

        Args:
            media: Which.
            path: A copy, which the writer may move away; None: it cannot be read.
        """

    def write(self, records: Sequence[ExecutionRecord]) -> None:
        """Write records.

        Raises:
            OSError: The disk is full.
        """

    def close(self) -> None:
        """Finish the file.

        Raises:
            OSError: The disk is full.
        """

    def abandon(self) -> None:
        """Release what is open: the file is not wanted any more. Harmless after `close`."""


class WithoutMedia:
    """The part of a writer whose format holds no files."""

    def wanted_media(self, records: Sequence[ExecutionRecord]) -> list[MediaRef]:
        """Want none."""
        return []

    def add_media(self, media: MediaRef, path: Path | None) -> None:
        """Never called."""


class WriterFactory(Protocol):
    """A class of writers."""

    def __call__(self, path: Path, note: ExportNote) -> RecordWriter:
        """Begin a file.

        Args:
            path: Where; its folder is the writer's alone and may hold helping files.
            note: What the file says about itself.

        Raises:
            OSError: It cannot be written.
        """


_PLACES: Final = {
    ExportFormat.CSV: ("csv_file", "CsvWriter"),
    ExportFormat.XLSX: ("xlsx_file", "XlsxWriter"),
    ExportFormat.PARQUET: ("parquet_file", "ParquetWriter"),
    ExportFormat.ZIP: ("zip_file", "ZipWriter"),
    ExportFormat.RO_CRATE: ("crate_file", "CrateWriter"),
    ExportFormat.PROV_JSON: ("prov_file", "ProvWriter"),
    ExportFormat.PDF: ("pdf_file", "PdfWriter"),
}


def open_writer(form: ExportFormat, path: Path, note: ExportNote) -> RecordWriter:
    """Begin a file; takes a second when its library is loaded for the first time.

    Args:
        form: Its format, one that is built as a whole.
        path: See `WriterFactory`.
        note: See `WriterFactory`.
    """
    module, name = _PLACES[form]
    factory = cast(
        "WriterFactory", getattr(import_module(f"tracker_service.export.{module}"), name)
    )
    return factory(path, note)

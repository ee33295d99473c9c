"""What puts a document into a file, one module per format."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

from tracker_service.export_workflow.deliverables.formats import DeliverableFormat

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tracker_service.export_workflow.deliverables.model import Document


class Write(Protocol):
    """Writes a file: the same document and pictures give the same bytes."""

    def __call__(self, document: Document, pictures: Mapping[str, Path], target: Path) -> None:
        """Write.

        Args:
            document: What it says.
            pictures: By SHA-256 of the kept file, a JPEG file of it; where one is missing, its
                caption stands alone.
            target: The file to write; its folder may hold helping files.

        Raises:
            OSError: The disk is full.
        """


_PLACES: Final = {
    DeliverableFormat.JSON: "json_file",
    DeliverableFormat.CSV: "csv_file",
    DeliverableFormat.XLSX: "xlsx_file",
    DeliverableFormat.PDF: "pdf_file",
    DeliverableFormat.DOCX: "docx_file",
    DeliverableFormat.MARKDOWN: "markdown_file",
    DeliverableFormat.HTML: "html_file",
}


def writer_of(form: DeliverableFormat) -> Write:
    """Return what writes a format; its libraries are loaded now."""
    return cast("Write", import_module(f"{__name__}.{_PLACES[form]}").write)

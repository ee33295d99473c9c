"""The formats of deliverables and what is known about each."""

from __future__ import annotations

from enum import StrEnum
from mimetypes import MimeTypes
from typing import Final

_TYPES: Final = MimeTypes(())
"""The types that Python itself knows; those of the machine would differ from place to place."""

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_TYPES.add_type(f"{_OFFICE}.wordprocessingml.document", ".docx")  # in Python itself from 3.14 on
_TYPES.add_type(f"{_OFFICE}.spreadsheetml.sheet", ".xlsx")
_TYPES.add_type("text/markdown", ".md")


class DeliverableFormat(StrEnum):
    """The format of a deliverable."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"
    DOCX = "docx"
    MARKDOWN = "markdown"
    HTML = "html"

    @property
    def suffix(self) -> str:
        """Ending of file names, with its dot."""
        return ".md" if self is DeliverableFormat.MARKDOWN else f".{self.value}"

    @property
    def mime_type(self) -> str:
        """MIME type of the file, without its character set, which is always UTF-8."""
        found, _ = _TYPES.guess_type(f"file{self.suffix}")
        assert found is not None  # a test asks for each
        return found

    @property
    def holds_pictures(self) -> bool:
        """Whether pictures are inside the file; in the others they stand by their names."""
        return self not in (DeliverableFormat.JSON, DeliverableFormat.CSV)

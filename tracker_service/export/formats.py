"""The forms that an exported file can have, and what each of them can hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class FormatFacts:
    """What is known about a format.

    Attributes:
        mime_type: MIME type of the file.
        filename: A name for the file.
        at_once: It is handed out record by record; the others are built as a whole first.
        most_records: Records that a file holds at most, because its library keeps them all in
            memory; 0: any number.
    """

    mime_type: str
    filename: str
    at_once: bool = False
    most_records: int = 0


class ExportFormat(Enum):
    """The form of an exported file."""

    JSON = FormatFacts("application/json", "executions.json", at_once=True)
    JSON_LINES = FormatFacts("application/jsonl", "executions.jsonl", at_once=True)
    CSV = FormatFacts("text/csv", "executions.csv")
    XLSX = FormatFacts(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "executions.xlsx"
    )
    PARQUET = FormatFacts("application/vnd.apache.parquet", "executions.parquet")
    PDF = FormatFacts("application/pdf", "executions.pdf", most_records=100)
    ZIP = FormatFacts("application/zip", "executions.zip")
    RO_CRATE = FormatFacts("application/zip", "executions.crate.zip", most_records=1000)
    PROV_JSON = FormatFacts("application/json", "executions.prov.json")

    @property
    def mime_type(self) -> str:
        """MIME type of the file."""
        return self.value.mime_type

    @property
    def filename(self) -> str:
        """A name for the file."""
        return self.value.filename

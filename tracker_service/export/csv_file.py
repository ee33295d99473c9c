"""CSV: for spreadsheets and for anything that reads tables."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export.facts import (
    ITEM_COLUMNS,
    NAMES,
    RECORD_COLUMNS,
    Kind,
    plain_text,
    table_of,
)
from tracker_service.export.writers import WithoutMedia

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tracker_service.export.facts import Column, Row
    from tracker_service.export.writers import ExportNote
    from tracker_service.records import ExecutionRecord

# Apostrophes before a sign are doubled too, so that taking one away is always right.
# The wide ones are signs to spreadsheets in East Asia.
_SIGNS: Final = frozenset("'=+-@\t\r\n＝＋－＠")
_RUNS: Final = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def neutralised(text: str) -> str:
    """Return `text` so that no spreadsheet runs it: with an apostrophe before a leading sign.

    `original` undoes it. Rule of OWASP, "CSV Injection".
    """
    return f"'{text}" if _RUNS.match(text) else text


def original(text: str) -> str:
    """Return what `neutralised` was given."""
    return text[1:] if text.startswith("'") and _RUNS.match(text) else text


class CsvWriter(WithoutMedia):
    """Writes CSV after RFC 4180: UTF-8 with a byte order mark, without which Excel guesses."""

    def __init__(self, path: Path, note: ExportNote) -> None:
        """Begin the file with the names of the columns; see `WriterFactory`."""
        self._file = path.open("w", encoding="utf-8-sig", newline="", buffering=1024 * 1024)
        self._writer = csv.writer(self._file)
        self._writer.writerow(NAMES)

    def write(self, records: Sequence[ExecutionRecord]) -> None:
        """Write a row per item."""
        table = table_of(records)
        heads = list(_rows(RECORD_COLUMNS, zip(*table.heads, strict=True)))
        rows = _rows(ITEM_COLUMNS, table.columns)
        owners = map(heads.__getitem__, table.head_of_row)
        self._writer.writerows(head + row for head, row in zip(owners, rows, strict=True))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def abandon(self) -> None:
        """Close the file."""
        self._file.close()


def _rows(columns: Sequence[Column], values: Iterable[Sequence[Any]]) -> Iterator[Row]:
    pairs = zip(columns, values, strict=True)
    return zip(*[_cells(column.kind, some) for column, some in pairs], strict=True)


def _cells(kind: Kind, values: Sequence[Any]) -> Sequence[Any]:
    """Return values as they stand in cells; nothing is an empty cell, numbers stay as they are."""
    if kind is Kind.TEXT:
        # Nearly no text begins with a sign; looking at one letter is cheaper than a call.
        return [neutralised(text) if text and text[0] in _SIGNS else text for text in values]
    if kind in (Kind.INTEGER, Kind.SECONDS, Kind.JSON):
        return values
    return [plain_text(value, kind) for value in values]

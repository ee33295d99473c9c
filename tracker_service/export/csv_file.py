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
    item_rows,
    plain_text,
    record_values,
    time_text,
)
from tracker_service.export.writers import WithoutMedia

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tracker_service.export.facts import Row
    from tracker_service.export.writers import ExportNote
    from tracker_service.records import ExecutionRecord

# Apostrophes before a sign are doubled too, so that taking one away is always right.
_SIGNS: Final = frozenset("'=+-@\t\r")
_RUNS: Final = re.compile(r"'*[=+\-@\t\r]")


def neutralised(text: str) -> str:
    """Return `text` so that no spreadsheet runs it: with an apostrophe before a leading sign.

    `original` undoes it. Rule of OWASP, "CSV Injection".
    """
    # Nearly no text begins so; looking at one letter is cheaper than matching.
    return f"'{text}" if text and text[0] in _SIGNS and _RUNS.match(text) else text


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
        self._writer.writerows(self._cells(records))

    def _cells(self, records: Sequence[ExecutionRecord]) -> Iterator[Row]:
        for record in records:
            head = _row(_HEAD_CELLS, record_values(record.summary))
            for values in item_rows(record):
                yield head + _row(_ITEM_CELLS, values)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def abandon(self) -> None:
        """Close the file."""
        self._file.close()


def _same(value: Any) -> Any:
    return value


def _cell_of(kind: Kind) -> Callable[[Any], Any]:
    if kind is Kind.TEXT:
        return neutralised
    if kind in (Kind.INTEGER, Kind.JSON):
        return _same
    if kind is Kind.TIME:
        return time_text
    if kind is Kind.SECONDS:
        return str
    return lambda value: plain_text(value, kind)


def _row(cells: Sequence[Callable[[Any], Any]], values: Row) -> Row:
    pairs = zip(cells, values, strict=True)
    return tuple([None if value is None else cell(value) for cell, value in pairs])


_HEAD_CELLS: Final = tuple(_cell_of(column.kind) for column in RECORD_COLUMNS)
_ITEM_CELLS: Final = tuple(_cell_of(column.kind) for column in ITEM_COLUMNS)

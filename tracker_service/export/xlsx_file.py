"""XLSX: for people with a spreadsheet.

A cell holds 32 767 characters at most. Longer texts are cut, say so at their end, and are named in
the column `cut`; JSON, CSV and Parquet have them whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import xlsxwriter

from tracker_service.export.facts import COLUMNS, NAMES, Kind, plain_text, rows_of
from tracker_service.export.writers import WithoutMedia

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from xlsxwriter.worksheet import Worksheet

    from tracker_service.export.facts import Row
    from tracker_service.export.writers import ExportNote
    from tracker_service.records import ExecutionRecord

MAX_CELL: Final = 32_767
"""Of UTF-16 code units; Excel's specifications and limits."""
MAX_ROWS: Final = 1_048_576
CUT_MARK: Final = " … [cut]"
PLAIN_TEXTS: Final = {
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
"""Options of a workbook in which a text is a text, whatever it looks like."""
_WIDE: Final = frozenset({"content", "metadata"})
_HEAD_ROWS: Final = 1


def cut_to_cell(text: str) -> tuple[str, bool]:
    """Return as much of `text` as a cell holds, and whether something is missing."""
    if len(text) * 2 <= MAX_CELL or _units(text) <= MAX_CELL:
        return text, False
    room = MAX_CELL - len(CUT_MARK)
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * room].decode("utf-16-le", "ignore")
    return kept + CUT_MARK, True


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class XlsxWriter(WithoutMedia):
    """Writes sheets of rows, each row on the disk before the next one begins."""

    def __init__(self, path: Path, note: ExportNote) -> None:
        """Begin the file; see `WriterFactory`."""
        self._book = xlsxwriter.Workbook(
            path,
            {
                "constant_memory": True,
                "tmpdir": str(path.parent),
                **PLAIN_TEXTS,
                "nan_inf_to_errors": True,
            },
        )
        self._head = self._book.add_format({"bold": True})
        # Marks a cell as text for good: a leading sign stays one even when somebody edits it.
        self._text = self._book.add_format({"quote_prefix": True})
        self._sheet_count = 0
        self._sheet = self._new_sheet()
        self._closed = False

    def _new_sheet(self) -> Worksheet:
        self._sheet_count += 1
        number = "" if self._sheet_count == 1 else f" {self._sheet_count}"
        sheet = self._book.add_worksheet(f"Items{number}")
        for index, column in enumerate(COLUMNS):
            sheet.set_column(index, index, 60 if column.name in _WIDE else 16)
        sheet.write_row(0, 0, (*NAMES, "cut"), self._head)
        sheet.freeze_panes(_HEAD_ROWS, 1)
        self._next_row = _HEAD_ROWS
        return sheet

    def write(self, records: Sequence[ExecutionRecord]) -> None:
        """Write a row per item, on a further sheet when one is full."""
        for record in records:
            for row in rows_of(record):
                if self._next_row == MAX_ROWS:
                    self._sheet = self._new_sheet()
                self._write_row(row)
                self._next_row += 1

    def _write_row(self, row: Row) -> None:
        sheet, number, cut = self._sheet, self._next_row, []
        for index, (column, value) in enumerate(zip(COLUMNS, row, strict=True)):
            if value is None:
                continue
            if column.kind in (Kind.INTEGER, Kind.SECONDS) and abs(value) <= 2**53:
                sheet.write_number(number, index, value)
            elif column.kind is Kind.FLAG:
                sheet.write_boolean(number, index, value)
            else:
                text, is_cut = cut_to_cell(plain_text(value, column.kind))
                if is_cut:
                    cut.append(column.name)
                sheet.write_string(number, index, text, self._text)
        if cut:
            sheet.write_string(number, len(COLUMNS), ", ".join(cut))

    def close(self) -> None:
        """Put the sheets together."""
        self._closed = True
        self._book.close()

    def abandon(self) -> None:
        """Put together what there is, so that the library lets go of its helping files."""
        if not self._closed:
            self.close()

"""XLSX: for people with a spreadsheet: a sheet to read, and one for each table."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import xlsxwriter
from PIL import Image

from tracker_service.export.xlsx_file import PLAIN_TEXTS, cut_to_cell
from tracker_service.export_workflow.deliverables.model import Picture, Table, Template, cell_text
from tracker_service.export_workflow.deliverables.writers.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from xlsxwriter.worksheet import Worksheet

    from tracker_service.export_workflow.deliverables.model import Cell, Document

HEAD: Final = ("section", "label", "content")
PICTURE_HEIGHT: Final = 240
"""Pixels of a picture in its row."""
_POINTS_PER_PIXEL: Final = 0.75
_MAX_SHEET_NAME: Final = 31
_NOT_IN_NAMES: Final = re.compile(r"[\[\]:*?/\\']")
_MAX_EXACT: Final = 2**53
_ROWS_MEASURED: Final = 50
_NARROWEST: Final = 8
_WIDEST: Final = 60


def write(document: Document, pictures: Mapping[str, Path], target: Path) -> None:
    """Write the sheets. See `Write`."""
    options = {**PLAIN_TEXTS, "nan_inf_to_errors": True}
    with xlsxwriter.Workbook(target, options) as book:
        moment = datetime.fromtimestamp(document.created_us // 1_000_000, UTC)
        book.set_properties(
            {"title": document.title[:255], "author": "Stellwerk", "created": moment}
        )
        _Book(book, pictures).write(document)


class _Book:
    def __init__(self, book: xlsxwriter.Workbook, pictures: Mapping[str, Path]) -> None:
        self._book = book
        self._pictures = pictures
        self._bold = book.add_format({"bold": True})
        self._text = book.add_format({"quote_prefix": True, "text_wrap": True, "valign": "top"})
        self._names: set[str] = set()

    def write(self, document: Document) -> None:
        """Write the sheet to read and the tables; a data table's table comes first."""
        tables = [
            block
            for section in document.sections
            for block in section.blocks
            if isinstance(block, Table)
        ]
        is_first = document.template is Template.DATA_TABLE
        if is_first:
            self._table(tables.pop(0))
        self._reading_sheet(document)
        for table in tables:
            self._table(table)

    def _reading_sheet(self, document: Document) -> None:
        sheet = self._new_sheet(document.title, (24, 36, 100))
        rows: list[tuple[str, str, str, Picture | None]] = [
            ("", document.subtitle, document.title, None)
        ]
        for section in document.sections:
            for block in section.blocks:
                if isinstance(block, Table):
                    rows.append((section.title, block.title, "→", None))
                    continue
                picture = block if isinstance(block, Picture) else None
                rows += [(section.title, *line, picture) for line in lines_of(block)]
        rows.append(("", "", document.footer, None))
        sheet.write_row(0, 0, HEAD, self._bold)
        sheet.freeze_panes(1, 0)
        for number, (*cells, picture) in enumerate(rows, 1):
            for column, text in enumerate(cells):
                self._cell(sheet, number, column, text)
            if picture is not None:
                self._picture(sheet, number, picture)

    def _picture(self, sheet: Worksheet, row: int, picture: Picture) -> None:
        path = self._pictures.get(picture.sha256)
        if path is None:
            return
        with Image.open(path) as image:
            scale = PICTURE_HEIGHT / image.height
        sheet.set_row(row, (PICTURE_HEIGHT + 8) * _POINTS_PER_PIXEL)
        sheet.insert_image(
            row,
            len(HEAD),
            path,
            {
                "x_scale": scale,
                "y_scale": scale,
                "x_offset": 4,
                "y_offset": 4,
                "description": picture.caption,
            },
        )

    def _table(self, table: Table) -> None:
        sheet = self._new_sheet(table.title, _widths(table))
        for column, name in enumerate(table.columns):
            sheet.write_string(0, column, name, self._bold)
        sheet.freeze_panes(1, 0)
        for number, row in enumerate(table.rows, 1):
            for column, value in enumerate(row):
                self._cell(sheet, number, column, value)
        if table.rows:
            sheet.autofilter(0, 0, len(table.rows), len(table.columns) - 1)

    def _cell(self, sheet: Worksheet, row: int, column: int, value: Cell) -> None:
        if value is None or value == "":
            return
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif isinstance(value, int | float) and abs(value) <= _MAX_EXACT:
            sheet.write_number(row, column, value)
        else:
            sheet.write_string(row, column, cut_to_cell(cell_text(value))[0], self._text)

    def _new_sheet(self, title: str, widths: Iterable[int]) -> Worksheet:
        sheet = self._book.add_worksheet(self._name(title))
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        return sheet

    def _name(self, title: str) -> str:
        """A name that Excel takes and that no other sheet has."""
        plain = _NOT_IN_NAMES.sub(" ", title).strip()[:_MAX_SHEET_NAME] or "Sheet"
        name, number = plain, 1
        while name.casefold() in self._names or name.casefold() == "history":
            number += 1
            ending = f" {number}"
            name = f"{plain[: _MAX_SHEET_NAME - len(ending)]}{ending}"
        self._names.add(name.casefold())
        return name


def _widths(table: Table) -> Iterator[int]:
    """Yield widths of columns that suit the first rows, in characters."""
    for name, *values in zip(table.columns, *table.rows[:_ROWS_MEASURED], strict=True):
        longest = max(len(cell_text(value)) for value in (name, *values))
        yield min(_WIDEST, max(_NARROWEST, longest + 2))

"""CSV: for spreadsheets and for anything that reads tables.

A document is more than one table, and a CSV file is exactly one. So every row says in which
section it stands; what is no table stands under `label` and `content`, and every column of a table
is a column of the file. Who wants a table alone takes the rows of its section.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export.csv_file import neutralised
from tracker_service.export_workflow.deliverables.model import Table, cell_text
from tracker_service.export_workflow.deliverables.writers.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tracker_service.export_workflow.deliverables.model import Cell, Document

HEAD: Final = ("section", "label", "content")


def write(document: Document, pictures: Mapping[str, Path], target: Path) -> None:
    """Write RFC 4180 in UTF-8, with the mark without which Excel guesses. See `Write`."""
    tables = [
        block
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Table)
    ]
    names = dict.fromkeys(name for table in tables for name in table.columns)
    places = {name: index for index, name in enumerate(names, len(HEAD))}
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(neutralised, (*HEAD, *names)))
        for row in _rows(document, places):
            writer.writerow([_cell(value) for value in row])


def _rows(document: Document, places: Mapping[str, int]) -> Iterator[list[Cell]]:
    """Yield rows of equal length."""
    rest: list[Cell] = [None] * len(places)
    yield ["", document.subtitle, document.title, *rest]
    for section in document.sections:
        for block in section.blocks:
            if not isinstance(block, Table):
                for label, content in lines_of(block):
                    yield [section.title, label, content, *rest]
                continue
            for values in block.rows:
                row: list[Cell] = [section.title, block.title, None, *rest]
                for name, value in zip(block.columns, values, strict=True):
                    row[places[name]] = value
                yield row
    yield ["", "", document.footer, *rest]


def _cell(value: Cell) -> Any:
    """Numbers stay numbers; a text must not be taken for a formula."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return neutralised(cell_text(value))

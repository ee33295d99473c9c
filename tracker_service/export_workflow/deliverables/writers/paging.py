"""Tables on pages, which are narrower than screens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracker_service.export_workflow.deliverables.model import cell_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker_service.export_workflow.deliverables.model import Table

MAX_COLUMNS: Final = 6
"""Columns that are still read beside each other on a page."""


def is_wide(table: Table) -> bool:
    """Tell whether a table must be set row by row."""
    return len(table.columns) > MAX_COLUMNS


def cards_of(table: Table) -> Iterator[list[tuple[str, str]]]:
    """Yield each row as labelled texts, without its empty cells."""
    for row in table.rows:
        yield [
            (name, cell_text(value))
            for name, value in zip(table.columns, row, strict=True)
            if cell_text(value)
        ]

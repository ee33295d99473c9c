"""How large a document may be: what a person can still open, and a school's machine still make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from servicekit.errors import InvalidArgumentError
from tracker_service.export_workflow.deliverables.model import Facts, Picture, Step, Table

if TYPE_CHECKING:
    from tracker_service.export_workflow.deliverables.model import Block, Document

MAX_CHARS: Final = 4_000_000
"""Code points of all texts: some two thousand pages."""
MAX_CELLS: Final = 200_000
"""Cells of all tables, and facts."""
MAX_PICTURES: Final = 400


def check_size(document: Document) -> None:
    """Refuse a document that is too large.

    Raises:
        InvalidArgumentError: DOCUMENT_TOO_LARGE.
    """
    blocks = [block for section in document.sections for block in section.blocks]
    sizes = (
        (sum(map(_chars, blocks)), MAX_CHARS, "characters"),
        (sum(map(_cells, blocks)), MAX_CELLS, "cells"),
        (len(document.pictures()), MAX_PICTURES, "pictures"),
    )
    for size, most, what in sizes:
        if size > most:
            raise InvalidArgumentError(
                "DOCUMENT_TOO_LARGE",
                f"The document would have {size:,} {what}, and {most:,} are allowed; choose less, "
                "or take the template executive_summary.",
                field="document_template",
            )


def _chars(block: Block) -> int:
    if isinstance(block, Facts):
        return sum(len(fact.label) + len(fact.value) for fact in block.facts)
    if isinstance(block, Table):
        return sum(len(cell) for row in block.rows for cell in row if isinstance(cell, str))
    if isinstance(block, Step):
        return sum(len(piece.text) for piece in block.pieces)
    return len(block.caption) if isinstance(block, Picture) else len(block.text)


def _cells(block: Block) -> int:
    if isinstance(block, Facts):
        return len(block.facts)
    return len(block.rows) * len(block.columns) if isinstance(block, Table) else 0

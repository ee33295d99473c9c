"""Blocks as labelled texts, for formats that are rows of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker_service.export_workflow.deliverables.model import Facts, Picture, Step, marked_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker_service.export_workflow.deliverables.model import Note, Text


def lines_of(block: Text | Note | Facts | Step | Picture) -> Iterator[tuple[str, str]]:
    """Yield what a block says: a label, which may be empty, and a text."""
    if isinstance(block, Facts):
        for fact in block.facts:
            yield fact.label, fact.value
    elif isinstance(block, Step):
        yield " · ".join(part for part in (block.head, block.tail) if part), marked_text(block)
    elif isinstance(block, Picture):
        yield block.name, block.caption
    else:
        yield "", block.text

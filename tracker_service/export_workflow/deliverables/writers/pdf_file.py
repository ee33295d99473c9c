"""PDF: for reading, printing and handing out. `document.typ` sets the pages, from data alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from tracker_service.export.pdf_pages import broken, is_right_to_left, paragraphs
from tracker_service.export.typesetting import typeset
from tracker_service.export_workflow.deliverables.model import (
    Facts,
    Picture,
    Step,
    Table,
    Text,
    cell_text,
)
from tracker_service.export_workflow.deliverables.writers.paging import cards_of, is_wide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker_service.export_workflow.deliverables.model import Block, Document, Note

_TEMPLATE: Final = Path(__file__).with_name("document.typ")
_TEXT_WIDTH_MM: Final = 166
_PICTURE_WIDTH_MM: Final = 84
_PICTURE_HEIGHT_MM: Final = 90


def write(document: Document, pictures: Mapping[str, Path], target: Path) -> None:
    """Set the pages; the pictures lie beside the target or below it. See `Write`."""
    folder = target.parent
    moment = datetime.fromtimestamp(document.created_us // 1_000_000, UTC)
    pages = {
        "title": document.title,
        "subtitle": document.subtitle,
        "language": document.language.value,
        "date": [moment.year, moment.month, moment.day],
        "footer": document.footer,
        "sections": [
            {
                "title": section.title,
                "level": section.level,
                "blocks": [_block(block, pictures, folder) for block in section.blocks],
            }
            for section in document.sections
        ],
    }
    text = json.dumps(pages, ensure_ascii=False)
    (folder / "pages.json").write_text(text, encoding="utf-8")
    typeset(_TEMPLATE, folder, target)


def _block(block: Block, pictures: Mapping[str, Path], folder: Path) -> dict[str, Any]:
    if isinstance(block, Facts):
        facts = [[broken(fact.label), broken(fact.value)] for fact in block.facts]
        return {"kind": "facts", "facts": facts}
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Step):
        return _step(block)
    if isinstance(block, Picture):
        return _picture(block, pictures, folder)
    return _text(block)


def _text(block: Text | Note) -> dict[str, Any]:
    return {"kind": block.kind, "paragraphs": paragraphs(block.text)}


def _step(block: Step) -> dict[str, Any]:
    if len(block.pieces) == 1:
        body: dict[str, Any] = {"paragraphs": paragraphs(block.pieces[0].text)}
    else:
        pieces = [
            {"kind": piece.change.value, "text": broken(piece.text)} for piece in block.pieces
        ]
        rtl = is_right_to_left("".join(piece.text for piece in block.pieces))
        body = {"paragraphs": [], "diff": pieces, "rtl": rtl}
    return {"kind": "step", "head": block.head, "tail": block.tail, "diff": []} | body


def _table(table: Table) -> dict[str, Any]:
    if is_wide(table):
        cards = [
            [[broken(name), paragraphs(text)] for name, text in card] for card in cards_of(table)
        ]
        return {"kind": "cards", "title": table.title, "cards": cards}
    return {
        "kind": "table",
        "columns": [broken(name) for name in table.columns],
        "rows": [[paragraphs(cell_text(cell)) for cell in row] for row in table.rows],
    }


def _picture(block: Picture, pictures: Mapping[str, Path], folder: Path) -> dict[str, Any]:
    path = pictures.get(block.sha256)
    if path is None:
        return {"kind": "picture", "file": None, "caption": broken(block.caption)}
    with Image.open(path) as image:
        width = min(_PICTURE_WIDTH_MM, _PICTURE_HEIGHT_MM * image.width / image.height)
    return {
        "kind": "picture",
        "file": str(path.relative_to(folder)),
        "share": 100 * width / _TEXT_WIDTH_MM,
        "caption": broken(block.caption),
    }

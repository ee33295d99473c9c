"""DOCX: for people who go on writing."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from docx import Document as open_document
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor
from PIL import Image

from tracker_service.export.pdf_pages import is_right_to_left
from tracker_service.export_workflow.deliverables.model import (
    Change,
    Facts,
    Note,
    Picture,
    Step,
    Table,
    cell_text,
)
from tracker_service.export_workflow.deliverables.writers.docx_pictures import add_picture
from tracker_service.export_workflow.deliverables.writers.docx_tables import add_table
from tracker_service.export_workflow.deliverables.writers.paging import cards_of, is_wide

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from docx.text.paragraph import Paragraph
    from docx.text.run import Run

    from tracker_service.export_workflow.deliverables.model import Block, Document, Piece

_FAINT: Final = RGBColor(0x5B, 0x63, 0x75)
_GOOD: Final = RGBColor(0x1F, 0x7A, 0x4D)
_BAD: Final = RGBColor(0xA8, 0x32, 0x2D)
_PICTURE_WIDTH: Final = Mm(84)
_PICTURE_HEIGHT: Final = Mm(90)
_LOCALES: Final = {"de": "de-DE", "en": "en-GB"}


def write(document: Document, pictures: Mapping[str, Path], target: Path) -> None:
    """Write the document with Word's own styles. See `Write`."""
    made = io.BytesIO()
    _Paper(document, pictures).docx.save(made)
    _write_dated(made, target, document.created_us)


def _write_dated(made: io.BytesIO, target: Path, created_us: int) -> None:
    """Write the archive anew with the document's own time; the library puts in the present."""
    moment = datetime.fromtimestamp(created_us // 1_000_000, UTC)
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            entry = zipfile.ZipInfo(name, max((1980, 1, 1, 0, 0, 0), moment.timetuple()[:6]))
            is_picture = name.startswith("word/media/")  # compressed already
            entry.compress_type = zipfile.ZIP_STORED if is_picture else zipfile.ZIP_DEFLATED
            copy.writestr(entry, source.read(name))


class _Paper:
    """A DOCX file in the making."""

    def __init__(self, document: Document, pictures: Mapping[str, Path]) -> None:
        self._pictures = pictures
        self._picture_count = 0
        self.docx = open_document()
        self._set_up(document)
        self._paragraph(document.title, "Title")
        self._paragraph(document.subtitle, "Subtitle")
        for section in document.sections:
            self._paragraph(section.title, f"Heading {section.level}")
            for block in section.blocks:
                self._block(block)
        footer = self.docx.sections[0].footer.paragraphs[0]
        self._run(footer, document.footer).font.size = Pt(8)

    def _set_up(self, document: Document) -> None:
        moment = datetime.fromtimestamp(document.created_us // 1_000_000, UTC)
        about = self.docx.core_properties
        about.title, about.author = document.title[:255], "Stellwerk"
        about.comments, about.last_modified_by = "", "Stellwerk"
        about.created = about.modified = moment.replace(tzinfo=None)  # the library takes it for UTC
        about.language = document.language.value
        normal = self.docx.styles["Normal"]
        normal.font.size = Pt(10)
        language = OxmlElement("w:lang")
        language.set(qn("w:val"), _LOCALES[document.language])
        normal.element.get_or_add_rPr().append(language)
        page = self.docx.sections[0]
        page.page_width, page.page_height = Mm(210), Mm(297)
        page.left_margin = page.right_margin = Mm(22)

    def _block(self, block: Block) -> None:
        if isinstance(block, Facts):
            add_table(self.docx, [[fact.label, fact.value] for fact in block.facts], head=None)
        elif isinstance(block, Table):
            self._table(block)
        elif isinstance(block, Step):
            self._step(block)
        elif isinstance(block, Picture):
            self._picture(block)
        else:
            for line in block.text.split("\n"):
                if line.strip():
                    self._faint(self._paragraph(line), is_faint=isinstance(block, Note))

    def _table(self, table: Table) -> None:
        if not is_wide(table):
            rows = [[cell_text(cell) for cell in row] for row in table.rows]
            add_table(self.docx, rows, head=table.columns)
            return
        for card in cards_of(table):
            add_table(self.docx, [list(row) for row in card], head=None)

    def _step(self, step: Step) -> None:
        head = self._paragraph("")
        self._run(head, step.head).bold = True
        if step.tail:
            self._run(head, f" · {step.tail}").font.color.rgb = _FAINT
        head.paragraph_format.keep_with_next = True
        if not step.pieces:
            return
        body = self._paragraph("", rtl=is_right_to_left("".join(p.text for p in step.pieces)))
        body.paragraph_format.left_indent = Mm(5)
        for piece in step.pieces:
            self._piece(body, piece)

    def _piece(self, paragraph: Paragraph, piece: Piece) -> None:
        run = self._run(paragraph, piece.text)
        if piece.change is Change.ADDED:
            run.font.underline, run.font.color.rgb = True, _GOOD
        elif piece.change is Change.REMOVED:
            run.font.strike, run.font.color.rgb = True, _BAD

    def _picture(self, block: Picture) -> None:
        if (path := self._pictures.get(block.sha256)) is not None:
            with Image.open(path) as image:
                share = image.width / image.height
            width = min(_PICTURE_WIDTH, round(_PICTURE_HEIGHT * share))
            paragraph = self._paragraph("")
            paragraph.paragraph_format.keep_with_next = True
            self._picture_count += 1
            add_picture(
                paragraph, path, self._picture_count, (width, round(width / share)), block.caption
            )
        self._faint(self._paragraph(block.caption))

    def _paragraph(
        self, text: str, style: str | None = None, *, rtl: bool | None = None
    ) -> Paragraph:
        paragraph = self.docx.add_paragraph(style=style)
        if is_right_to_left(text) if rtl is None else rtl:
            paragraph.paragraph_format.element.get_or_add_pPr().append(OxmlElement("w:bidi"))
        if text:
            self._run(paragraph, text)
        return paragraph

    def _run(self, paragraph: Paragraph, text: str) -> Run:
        run = paragraph.add_run(text)
        run.font.rtl = is_right_to_left(text) or None
        return run

    def _faint(self, paragraph: Paragraph, *, is_faint: bool = True) -> None:
        for run in paragraph.runs if is_faint else ():
            run.font.size, run.font.color.rgb = Pt(8), _FAINT

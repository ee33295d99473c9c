"""Reads deliverables as their users do, each format by a library that has not written it."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import unicodedata
from typing import TYPE_CHECKING, Any

import docx
import lxml.html
import openpyxl
import pypdfium2
import pytest
from markdown_it import MarkdownIt

from tracker_service.export.csv_file import original
from tracker_service.export_workflow.deliverables.formats import DeliverableFormat
from tracker_service.export_workflow.deliverables.model import (
    Facts,
    Picture,
    Step,
    Table,
    cell_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker_service.export_workflow.deliverables.model import Block, Document

_INVISIBLE = re.compile(r"[\s\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufe0f]+")


def compact(text: str) -> str:
    """Return a text without what only line breaks and directions change."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def statements(document: Document) -> list[str]:
    """Return everything that a document says."""
    said = [document.title, document.subtitle, document.footer]
    for section in document.sections:
        said.append(section.title)
        for block in section.blocks:
            said += _said(block)
    return [text for text in said if text]


def _said(block: Block) -> Iterator[str]:
    if isinstance(block, Facts):
        for fact in block.facts:
            yield from (fact.label, fact.value)
    elif isinstance(block, Table):
        columns = zip(block.columns, zip(*block.rows, strict=True), strict=True)
        yield from (name for name, values in columns if any(map(cell_text, values)))
        for row in block.rows:
            yield from map(cell_text, row)
    elif isinstance(block, Step):
        yield from (block.head, block.tail, *(piece.text for piece in block.pieces))
    elif isinstance(block, Picture):
        yield block.caption
    else:
        yield block.text


def missing_from(text: str, document: Document) -> list[str]:
    """Return what a document says and a file does not.

    Parts of a heading count one by one: around Arabic readers of PDF order them in their own ways.
    """
    parts = [part for one in statements(document) for part in one.split(" · ")]
    return [part for part in parts if compact(part) not in text]


def read(path: Path, form: DeliverableFormat) -> str:
    """Return all text in a file, compact."""
    return compact(_READERS[form](path))


def _read_json(path: Path) -> str:
    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for one in value:
                yield from texts(one)
        else:
            yield cell_text(value)

    return "\n".join(texts(json.loads(path.read_text(encoding="utf-8"))))


def _read_csv(path: Path) -> str:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    assert len({len(row) for row in rows}) == 1, "every row has the same columns"
    return "\n".join(original(cell) for row in rows for cell in row)


def _read_xlsx(path: Path) -> str:
    book = openpyxl.load_workbook(path)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"], "no formulas"
    return "\n".join(cell_text(cell.value) for cell in cells)


def _read_pdf(path: Path) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("needs pdftotext (poppler-utils)")
    command = ["pdftotext", "-raw", "-enc", "UTF-8", str(path), "-"]
    told = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()
    document = pypdfium2.PdfDocument(path)  # knows how the letters of Arabic are joined
    try:
        pages = [page.get_textpage().get_text_bounded() for page in document]
    finally:
        document.close()
    return "\n".join([told, *pages])


def _read_docx(path: Path) -> str:
    document = docx.Document(str(path))
    texts = [paragraph.text for paragraph in document.paragraphs]
    texts += [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    texts += [paragraph.text for paragraph in document.sections[0].footer.paragraphs]
    return "\n".join(texts)


def markdown_tokens(text: str) -> Iterator[Any]:
    """Yield the tokens of a Markdown text, those inside lines too."""
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        yield token
        yield from token.children or ()


def _read_markdown(path: Path) -> str:
    tokens = markdown_tokens(path.read_text(encoding="utf-8"))
    return "\n".join(token.content for token in tokens if token.type == "text")


def _read_html(path: Path) -> str:
    page = lxml.html.document_fromstring(path.read_text(encoding="utf-8"))
    for style in page.iter("style"):
        style.text = ""
    return str(page.text_content())


_READERS = {
    DeliverableFormat.JSON: _read_json,
    DeliverableFormat.CSV: _read_csv,
    DeliverableFormat.XLSX: _read_xlsx,
    DeliverableFormat.PDF: _read_pdf,
    DeliverableFormat.DOCX: _read_docx,
    DeliverableFormat.MARKDOWN: _read_markdown,
    DeliverableFormat.HTML: _read_html,
}

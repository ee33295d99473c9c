"""Tables in DOCX, written as XML: the library's own way takes a second per thousand cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docx.oxml import OxmlElement
from docx.oxml.ns import qn

from tracker_service.export.pdf_pages import is_right_to_left

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docx.document import Document
    from docx.oxml.xmlchemy import BaseOxmlElement


def add_table(
    document: Document, rows: Sequence[Sequence[str]], head: Sequence[str] | None
) -> None:
    """Put a table at the end of a document.

    Args:
        document: The document.
        rows: Texts, each row of the same length.
        head: Names of the columns, repeated on every page; None: the first column names the rows.
    """
    if not rows and head is None:
        return
    width = len(head) if head is not None else len(rows[0])
    table = document.add_table(rows=0, cols=width, style="Table Grid")
    if head is not None:
        table._tbl.append(_row(head, bold=range(width), is_head=True))
    for row in rows:
        table._tbl.append(_row(row, bold=range(1) if head is None else ()))
    document.add_paragraph()  # or the next table would grow onto this one


def _row(
    texts: Sequence[str], bold: Sequence[int] | range, *, is_head: bool = False
) -> BaseOxmlElement:
    row = OxmlElement("w:tr")
    if is_head:
        properties = _child(row, "w:trPr")
        _child(properties, "w:tblHeader")
    for column, text in enumerate(texts):
        cell = _child(row, "w:tc")
        for line in text.split("\n"):
            _paragraph(cell, line, is_bold=column in bold)
    return row


def _paragraph(cell: BaseOxmlElement, text: str, *, is_bold: bool) -> None:
    paragraph = _child(cell, "w:p")
    rtl = is_right_to_left(text)
    if rtl:
        _child(_child(paragraph, "w:pPr"), "w:bidi")
    run = _child(paragraph, "w:r")
    properties = _child(run, "w:rPr")
    if is_bold:
        _child(properties, "w:b")
    _child(properties, "w:sz").set(qn("w:val"), "16")  # in half points
    if rtl:
        _child(properties, "w:rtl")
    content = _child(run, "w:t")
    content.text = text
    content.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")


def _child(parent: BaseOxmlElement, name: str) -> BaseOxmlElement:
    child = OxmlElement(name)
    parent.append(child)
    return child

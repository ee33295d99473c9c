"""Markdown: CommonMark with the tables and the strikethrough of GitHub, for repositories and notes.

Every text of a person is escaped, so that it is read as text and never as a link, a heading or
HTML. Pictures are inside the file, as definitions at its end, out of the reader's way.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from tracker_service.export_workflow.deliverables.model import (
    Change,
    Facts,
    Picture,
    Step,
    Table,
    cell_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tracker_service.export_workflow.deliverables.model import Block, Document

# CommonMark 0.31, 2.4: any ASCII punctuation may be escaped. These mean something in a line;
_ANYWHERE: Final = re.compile(r"[\\`*_\[\]<>&|~!#$]")
# and these at the beginning of one: lists, rules, headings that are underlined.
_AT_START: Final = re.compile(r"^(\s*)([-+=:]|\d{1,9}(?=[.)](?:\s|$)))", re.MULTILINE)
_MARKS: Final = {Change.KEPT: ("", ""), Change.ADDED: ("**", "**"), Change.REMOVED: ("~~", "~~")}
_EDGES: Final = re.compile(r"^(\s*)(.*?)(\s*)$", re.DOTALL)


def write(document: Document, pictures: Mapping[str, Path], target: Path) -> None:
    """Write the text and, at its end, the pictures. See `Write`."""
    with target.open("w", encoding="utf-8", newline="\n") as file:
        for part in _parts(document, pictures):
            file.write(f"{part}\n\n")
        for picture in document.pictures():
            if (path := pictures.get(picture.sha256)) is not None:
                data = base64.b64encode(path.read_bytes()).decode("ascii")
                file.write(f"[{_anchor(picture)}]: data:image/jpeg;base64,{data}\n")


def _parts(document: Document, pictures: Mapping[str, Path]) -> Iterator[str]:
    yield f"# {escaped(document.title)}"
    yield escaped(document.subtitle)
    for section in document.sections:
        yield f"{'#' * (section.level + 1)} {escaped(section.title)}"
        for block in section.blocks:
            yield _block(block, pictures)
    yield "---"
    yield escaped(document.footer)


def _block(block: Block, pictures: Mapping[str, Path]) -> str:
    if isinstance(block, Facts):
        rows = [(fact.label, fact.value) for fact in block.facts]
        return "\n".join(f"- **{in_line(label)}**: {in_line(value)}" for label, value in rows)
    if isinstance(block, Table):
        return "\n".join(_table(block))
    if isinstance(block, Step):
        head = f"**{in_line(block.head)}**" + (f" · {in_line(block.tail)}" if block.tail else "")
        return "\n>\n".join([f"> {head}", *_quoted(_marked(block))])
    if isinstance(block, Picture):
        caption = in_line(block.caption)
        if block.sha256 not in pictures:
            return caption
        return f"![{in_line(block.name)}][{_anchor(block)}]\n\n{caption}"
    return escaped(block.text)


def _marked(step: Step) -> str:
    return "".join(
        _around(piece.text, *_MARKS[piece.change])
        if piece.change is not Change.KEPT
        else escaped(piece.text)
        for piece in step.pieces
    )


def _around(text: str, before: str, after: str) -> str:
    """Put marks around a text; they only count where they touch a word."""
    marked = []
    for line in text.split("\n"):
        found = _EDGES.match(line)
        assert found is not None
        left, middle, right = found.groups()
        marked.append(f"{left}{before}{escaped(middle)}{after}{right}" if middle else line)
    return "\n".join(marked)


def _quoted(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        if paragraph.strip():
            yield "\n".join(f"> {line}" for line in paragraph.split("\n"))


def _table(table: Table) -> Iterator[str]:
    yield _row(in_line(name) for name in table.columns)
    yield _row("---" for _ in table.columns)
    for row in table.rows:
        yield _row(in_line(cell_text(cell)) for cell in row)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _anchor(picture: Picture) -> str:
    return f"picture-{picture.sha256[:16]}"


def escaped(text: str) -> str:
    """Return a text that reads as itself; each line of it ends with a hard break."""
    lines = (line.strip() for line in _ANYWHERE.sub(r"\\\g<0>", text).split("\n"))
    escaped_start = (_AT_START.sub(_escape_start, line) for line in lines)
    paragraphs: list[list[str]] = [[]]
    for line in escaped_start:
        if line:
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    return "\n\n".join("\\\n".join(lines) for lines in paragraphs if lines)


def in_line(text: str) -> str:
    """Return a text that reads as itself inside a table, a list or a heading."""
    return escaped(text).replace("\n\n", "<br>").replace("\\\n", "<br>")


def _escape_start(found: re.Match[str]) -> str:
    space, sign = found.groups()
    return f"{space}{sign}\\" if sign.isdigit() else f"{space}\\{sign}"

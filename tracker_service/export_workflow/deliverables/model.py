"""The document: what a deliverable says, before anybody asks in which format.

A template makes a document, a writer puts it into a file. Writers decide how things look, never
what is said, so all formats of a document say the same. Documents are JSON values too: the JSON
format is this form, and the process that makes files is handed it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tracker_service.export_workflow.summary.model import Language

Cell = bool | int | float | str | None


class Template(StrEnum):
    """What a document is for."""

    EXECUTIVE_SUMMARY = "executive_summary"
    FULL_REPORT = "full_report"
    DATA_TABLE = "data_table"
    LEARNING_JOURNEY = "learning_journey"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Part):
    """Paragraphs; a line is one."""

    kind: Literal["text"] = "text"
    text: str


class Note(_Part):
    """Small print, which says something about the rest."""

    kind: Literal["note"] = "note"
    text: str


class Fact(_Part):
    """Something that is said in a word or two."""

    label: str
    value: str


class Facts(_Part):
    """Facts in a row."""

    kind: Literal["facts"] = "facts"
    facts: tuple[Fact, ...]


class Table(_Part):
    """A table; every row has one cell per column."""

    kind: Literal["table"] = "table"
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Change(StrEnum):
    """What became of a piece of text."""

    KEPT = "kept"
    ADDED = "added"
    REMOVED = "removed"


class Piece(_Part):
    """A piece of a text, with what became of it."""

    change: Change = Change.KEPT
    text: str


class Step(_Part):
    """A step of a journey: a heading, a remark beside it and a text, perhaps one that was edited.

    Attributes:
        head: What it is.
        tail: Who made it, how long it took.
        pieces: The text; more than one where a person changed it.
    """

    kind: Literal["step"] = "step"
    head: str
    tail: str = ""
    pieces: tuple[Piece, ...] = ()


class Picture(_Part):
    """A picture; the bytes are elsewhere.

    Attributes:
        sha256: Of the bytes as they are kept.
        mime_type: As kept.
        name: For people.
        caption: What is told under it; stands for it where it cannot be shown.
    """

    kind: Literal["picture"] = "picture"
    sha256: str
    mime_type: str
    name: str
    caption: str


Block = Annotated[
    Text | Note | Facts | Table | Step | Picture,
    Field(discriminator="kind"),
]


class Section(_Part):
    """A part with a title.

    Attributes:
        title: Its heading.
        level: 1, or 2 for a part of the one before.
        blocks: What stands in it.
    """

    title: str
    level: Literal[1, 2] = 1
    blocks: tuple[Block, ...]


class Document(_Part):
    """A document.

    Attributes:
        title: Its title.
        subtitle: A line under it.
        template: What it was made from.
        language: Of its own words; texts in it may be in any.
        created_us: The time it bears, microseconds since 1970 UTC; stored, not the time of making.
        sections: Its parts.
        footer: A line at the end, or on every page.
    """

    title: str
    subtitle: str
    template: Template
    language: Language
    created_us: int
    sections: tuple[Section, ...]
    footer: str

    def pictures(self) -> tuple[Picture, ...]:
        """Return the pictures, each once, in their order."""
        found = {
            block.sha256: block
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Picture)
        }
        return tuple(found.values())


def cell_text(value: Cell) -> str:
    """Return a cell as text, in the spelling of JSON; nothing is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def marked_text(step: Step) -> str:
    """Return the text of a step with changes marked as `wdiff` does: `[-removed-]{+added+}`."""
    marks = {Change.KEPT: "{}", Change.ADDED: "{{+{}+}}", Change.REMOVED: "[-{}-]"}
    return "".join(marks[piece.change].format(piece.text) for piece in step.pieces)

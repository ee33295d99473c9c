"""Executions as they are told: in the order of their steps, with texts, edits and pictures.

The data were edited by a person, who may have removed, renamed or retyped anything. So they are
read leniently: what is not where it was is left out or stands as text; nothing here can fail.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export.pdf_pages import differences
from tracker_service.export_workflow.deliverables.cleaning import cell_of, clean, line
from tracker_service.export_workflow.deliverables.model import (
    Change,
    Fact,
    Facts,
    Note,
    Picture,
    Piece,
    Section,
    Step,
    Table,
    cell_text,
)
from tracker_service.export_workflow.deliverables.tables import facts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracker_service.export_workflow.deliverables.model import Block, Cell
    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.texts import Words

_IN_STEP: Final = frozenset(
    {"number", "step", "iteration", "text", "before", "model", "seconds", "note", "withheld"}
)
"""Fields of a step that stand in its card; a report tells the others below it."""
_MOMENT: Final = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}):\d{2}(?:\.\d+)?Z")
_HEAD_FACTS: Final = ("config", "status", "safety_level", "started", "duration_seconds")
_CHANGES: Final = {"kept": Change.KEPT, "added": Change.ADDED, "removed": Change.REMOVED}


def executions_of(data: JsonValue) -> list[dict[str, Any]]:
    """Return the executions in data; empty: these data are of another kind."""
    return _objects(data.get("executions")) if isinstance(data, dict) else []


class Teller:
    """Tells executions in one language."""

    def __init__(self, words: Words, media: frozenset[str]) -> None:
        """Take what it tells with.

        Args:
            words: Of the language.
            media: SHA-256 of the files that may be shown; another one stands as its name, since
                whoever edits data could name any file there is.
        """
        self._words = words
        self._media = media
        self._cut = words.sentences["cut"]

    def journey(self, executions: Sequence[dict[str, Any]]) -> Iterator[Section]:
        """Yield a section per execution: texts and pictures in order."""
        for number, execution in enumerate(executions, 1):
            facts = [
                Fact(label=self._words.labels[key], value=self._fact(key, execution[key]))
                for key in _HEAD_FACTS
                if execution.get(key) is not None
            ]
            steps = [block for step in _steps(execution) for block in self._blocks(step)]
            yield self._section(number, execution, Facts(facts=tuple(facts)), steps)

    def report(self, executions: Sequence[dict[str, Any]]) -> Iterator[Section]:
        """Yield a section per execution with everything that is said of it."""
        for number, execution in enumerate(executions, 1):
            rest = {key: value for key, value in execution.items() if key != "steps"}
            steps = [block for step in _steps(execution) for block in self._detailed(step)]
            yield self._section(number, execution, facts_of(rest, self._words), steps)

    def overview(self, executions: Sequence[dict[str, Any]]) -> Table:
        """Return a table with a row per execution."""
        columns = ("execution", "input", "config", "status", "started", "outputs")
        rows = [
            (
                number,
                self._cell(" / ".join(map(str, _list(execution.get("inputs"))))),
                self._cell(execution.get("config")),
                self._state(execution),
                self._fact("started", execution.get("started")),
                self._cell(execution.get("outputs")),
            )
            for number, execution in enumerate(executions, 1)
        ]
        return self._table(self._words.sections["overview"], columns, rows)

    def table(self, executions: Sequence[dict[str, Any]]) -> Table:
        """Return a table with a row per step; an execution without steps has one row, too."""
        columns = (
            *("execution", "config", "status", "started", "number", "step", "before", "text"),
            *("model", "seconds", "note", "file", "sha256"),
        )
        rows = [
            (
                self._cell(execution.get("execution_id")),
                self._cell(execution.get("config")),
                self._state(execution),
                self._cell(execution.get("started")),
                *self._step_cells(step),
            )
            for execution in executions
            for step in _steps(execution) or [{}]
        ]
        return self._table(self._words.sections["executions"], columns, rows)

    def figures(self, totals: dict[str, Any]) -> Facts:
        """Return the totals of executions; what somebody added keeps its own name."""
        facts = []
        for key, value in totals.items():
            label = self._words.figures.get(key, line(key))
            if isinstance(value, dict):
                facts += [
                    Fact(label=f"{label}: {self._name(key, name)}", value=self._fact("", count))
                    for name, count in value.items()
                ]
            elif isinstance(value, list):
                told = ", ".join(self._fact("", one) for one in value)
                facts.append(Fact(label=label, value=told))
            else:
                facts.append(Fact(label=label, value=self._fact("started", value)))
        return Facts(facts=tuple(facts))

    def pictures(self, executions: Sequence[dict[str, Any]], most: int) -> tuple[Picture, ...]:
        """Return the first pictures that were made."""
        found = [
            picture
            for number, execution in enumerate(executions, 1)
            for step in _steps(execution)
            if str(step.get("step")).startswith("output_")
            and (picture := self._picture(step, f"{number} · ")) is not None
        ]
        return tuple(found[:most])

    def _section(
        self, number: int, execution: dict[str, Any], facts: Facts, steps: Sequence[Block]
    ) -> Section:
        title = _first_text(execution) or cell_text(self._cell(execution.get("config"))) or "–"
        return Section(
            title=f"{number} · {line(title, 80)}",
            level=2,
            blocks=(facts, *(steps or [Note(text=self._words.sentences["no_steps"])])),
        )

    def _blocks(self, step: dict[str, Any]) -> Iterator[Block]:
        picture = self._picture(step)
        pieces = self._pieces(step)
        if picture is not None:
            yield picture
        elif not pieces and (name := self._file(step)):
            pieces = (Piece(text=name),)
        if pieces or picture is None:
            yield Step(head=self._head(step), tail=self._tail(step), pieces=pieces)

    def _detailed(self, step: dict[str, Any]) -> Iterator[Block]:
        yield from self._blocks(step)
        rest = {key: value for key, value in step.items() if key not in _IN_STEP}
        if rest and step.get("withheld") is not True:
            facts = facts_of(rest, self._words).facts
            yield Note(text=" · ".join(f"{fact.label}: {fact.value}" for fact in facts))

    def _head(self, step: dict[str, Any]) -> str:
        name = self._words.step(line(str(step.get("step", "–"))))
        if (iteration := step.get("iteration")) is not None:
            name = f"{name} {line(str(iteration))}"
        return name

    def _tail(self, step: dict[str, Any]) -> str:
        seconds = step.get("seconds")
        parts = (
            step.get("model"),
            None if seconds is None else f"{_rounded(seconds)} s",
            None if step.get("number") is None else f"#{step['number']}",
        )
        return line(" · ".join(str(part) for part in parts if part is not None))

    def _pieces(self, step: dict[str, Any]) -> tuple[Piece, ...]:
        if step.get("withheld") is True:
            return (Piece(text=self._words.sentences["withheld"]),)
        text, before = self._text(step.get("text")), self._text(step.get("before"))
        note = self._text(step.get("note"))
        if before and text:
            parts = [
                Piece(change=_CHANGES[part["kind"]], text=part["text"])
                for part in differences(before, text)
            ] or [Piece(change=Change.REMOVED, text=before), Piece(change=Change.ADDED, text=text)]
        else:
            parts = [Piece(text=text)] if text else []
        if note:
            parts.append(Piece(text=f"\n{note}" if parts else note))
        return tuple(parts)

    def _picture(self, step: dict[str, Any], prefix: str = "") -> Picture | None:
        media = step.get("media")
        if not isinstance(media, dict) or not self._is_picture(media):
            return None
        told = (self._head(step), self._tail(step), media.get("filename"))
        return Picture(
            sha256=media["sha256"],
            mime_type=line(media["mime_type"]),
            name=line(str(media.get("filename") or media["sha256"][:16])),
            caption=line(prefix + " · ".join(str(part) for part in told if part)),
        )

    def _is_picture(self, media: dict[str, Any]) -> bool:
        sha256, mime_type = media.get("sha256"), media.get("mime_type")
        return (
            isinstance(mime_type, str)
            and mime_type.startswith("image/")
            and isinstance(sha256, str)
            and sha256 in self._media
        )

    def _file(self, step: dict[str, Any]) -> str:
        media = step.get("media")
        if not isinstance(media, dict):
            return ""
        parts = (media.get("filename"), media.get("mime_type"), media.get("sha256"))
        return line(" · ".join(str(part) for part in parts if part))

    def _step_cells(self, step: dict[str, Any]) -> tuple[Cell, ...]:
        media = step.get("media")
        if not isinstance(media, dict):
            media = {}
        withheld = step.get("withheld") is True
        return (
            self._cell(step.get("number")),
            self._head(step) if step else None,
            self._cell(step.get("before")),
            self._words.sentences["withheld"] if withheld else self._cell(step.get("text")),
            self._cell(step.get("model")),
            self._cell(step.get("seconds")),
            self._cell(step.get("note")),
            self._cell(media.get("filename") or media.get("mime_type")),
            self._cell(media.get("sha256")),
        )

    def _table(self, title: str, columns: Sequence[str], rows: Sequence[tuple[Cell, ...]]) -> Table:
        names = tuple(self._words.columns[column] for column in columns)
        return Table(title=title, columns=names, rows=tuple(rows))

    def _fact(self, key: str, value: JsonValue) -> str:
        """Return a value for reading: states in words, times to the minute, tenths of seconds."""
        text = cell_text(self._cell(_rounded(value)))
        if key == "status":
            return self._words.state(text)
        if key == "started" and (moment := _MOMENT.fullmatch(text)):
            return f"{moment[1]} {moment[2]} UTC"
        return text

    def _name(self, key: str, name: str) -> str:
        return self._words.state(name) if key == "by_status" else line(name)

    def _state(self, execution: dict[str, Any]) -> str:
        return self._fact("status", execution.get("status"))

    def _text(self, value: JsonValue) -> str:
        return clean(value, self._cut) if isinstance(value, str) else cell_text(self._cell(value))

    def _cell(self, value: JsonValue) -> Cell:
        return cell_of(value, self._cut)


def _rounded(value: JsonValue) -> JsonValue:
    return round(value, 1) if isinstance(value, float) else value


def _first_text(execution: dict[str, Any]) -> str:
    inputs = _list(execution.get("inputs"))
    return inputs[0] if inputs and isinstance(inputs[0], str) else ""


def _steps(execution: dict[str, Any]) -> list[dict[str, Any]]:
    return _objects(execution.get("steps"))


def _objects(value: JsonValue) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _list(value: JsonValue) -> list[Any]:
    return value if isinstance(value, list) else []

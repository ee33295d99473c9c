"""Any JSON value as facts and tables, for data of which nothing is known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracker_service.export_workflow.deliverables.cleaning import cell_of, clean, line
from tracker_service.export_workflow.deliverables.model import (
    Fact,
    Facts,
    Section,
    Table,
    cell_text,
)
from tracker_service.export_workflow.paths import WHOLE, path_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tracker_service.export_workflow.deliverables.model import Block
    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.paths import Step
    from tracker_service.export_workflow.texts import Words

MAX_COLUMNS: Final = 64
"""Columns of a table; rows with more are told field by field."""


def flatten(value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """Yield every leaf of a JSON value with its path, such as `items[3].price`, in order.

    Empty lists and objects are leaves. Walks without recursion, since depth is not ours to choose.
    """
    waiting: list[tuple[tuple[Step, ...], JsonValue]] = [((), value)]
    while waiting:
        path, one = waiting.pop()
        entries: Iterable[tuple[Step, JsonValue]] = ()
        if isinstance(one, dict):
            entries = one.items()
        elif isinstance(one, list):
            entries = enumerate(one)
        children = [((*path, step), child) for step, child in entries]
        if children:
            waiting += reversed(children)
        else:
            yield path_text(path), one


def is_rows(value: JsonValue) -> bool:
    """Tell whether a value is a list of objects, which is a table."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def facts_of(value: JsonValue, words: Words) -> Facts:
    """Return every leaf of a value as a fact under its path."""
    cut = words.sentences["cut"]
    return Facts(
        facts=tuple(
            Fact(label=clean(path, cut), value=cell_text(cell_of(leaf, cut)))
            for path, leaf in flatten(value)
        )
    )


def table_of(title: str, rows: Sequence[dict[str, Any]], words: Words) -> Table:
    """Return objects as a table: a column per path that any of them has, in order of appearance.

    With too many columns for anybody to read, it has a row per field instead.
    """
    cut = words.sentences["cut"]
    flat = [dict(flatten(row)) for row in rows]
    paths = [path for path in dict.fromkeys(path for row in flat for path in row) if path != WHOLE]
    if len(paths) > MAX_COLUMNS:
        columns = tuple(words.columns[name] for name in ("number", "field", "value"))
        long = tuple(
            (number, clean(path, cut), cell_of(leaf, cut))
            for number, row in enumerate(flat, 1)
            for path, leaf in row.items()
        )
        return Table(title=line(title), columns=columns, rows=long)
    return Table(
        title=line(title),
        columns=tuple(clean(path, cut) for path in paths),
        rows=tuple(tuple(cell_of(row.get(path), cut) for path in paths) for row in flat),
    )


def sections_of(data: JsonValue, words: Words) -> tuple[Section, ...]:
    """Return any data as sections: facts first, then a part for each list or object in it."""
    title = words.sections["data"]
    if is_rows(data):
        return (Section(title=title, blocks=(table_of(title, data, words),)),)
    if not isinstance(data, dict):
        return (Section(title=title, blocks=(facts_of(data, words),)),)
    simple = {key: value for key, value in data.items() if not isinstance(value, dict | list)}
    first: tuple[Block, ...] = (facts_of(simple, words),) if simple else ()
    parts = [
        Section(title=line(key), level=2, blocks=(_part(key, value, words),))
        for key, value in data.items()
        if key not in simple
    ]
    return (Section(title=title, blocks=first), *parts)


def _part(key: str, value: JsonValue, words: Words) -> Block:
    return table_of(key, value, words) if is_rows(value) else facts_of(value, words)

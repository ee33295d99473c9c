"""Any JSON value as facts and tables, for data of which nothing is known beforehand."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export_workflow.deliverables.cleaning import cell_of, line
from tracker_service.export_workflow.deliverables.model import (
    Fact,
    Facts,
    Section,
    Table,
    cell_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracker_service.export_workflow.deliverables.model import Block
    from tracker_service.export_workflow.deliverables.texts import Words
    from tracker_service.export_workflow.summary.model import JsonValue

_PLAIN_KEY: Final = re.compile(r"[\w-]+")


def flatten(value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """Yield every leaf of a JSON value with its path, such as `items[3].price`, in order.

    Empty lists and objects are leaves. Walks without recursion, since depth is not ours to choose.
    """
    waiting = [("", value)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, dict) and one:
            waiting += [(_child(path, key), inner) for key, inner in reversed(one.items())]
        elif isinstance(one, list) and one:
            waiting += [(f"{path}[{index}]", one[index]) for index in reversed(range(len(one)))]
        else:
            yield path, one


def _child(path: str, key: str) -> str:
    if not _PLAIN_KEY.fullmatch(key):
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key


def is_rows(value: JsonValue) -> bool:
    """Tell whether a value is a list of objects, which is a table."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def facts_of(value: JsonValue, words: Words) -> Facts:
    """Return every leaf of a value as a fact under its path."""
    cut = words.sentences["cut"]
    return Facts(
        facts=tuple(
            Fact(label=line(path) or words.columns["value"], value=cell_text(cell_of(leaf, cut)))
            for path, leaf in flatten(value)
        )
    )


def table_of(title: str, rows: Sequence[dict[str, Any]], words: Words) -> Table:
    """Return objects as a table: a column per path that any of them has, in order of appearance."""
    cut = words.sentences["cut"]
    flat = [dict(flatten(row)) for row in rows]
    # An empty object has one leaf without a path.
    paths = [path for path in dict.fromkeys(path for row in flat for path in row) if path]
    return Table(
        title=line(title),
        columns=tuple(map(line, paths)),
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

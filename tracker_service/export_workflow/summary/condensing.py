"""Data of any size as a text that a small model can read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker_service.export_workflow.documents import JsonValue

MAX_CHARS: Final = 6_000
"""Code points; some 2 000 tokens, so that a model with a window of 4 096 has room to answer."""

# Tried in turn: items shown of each list, code points shown of each text.
_WIDTHS: Final = ((1000, 400), (50, 300), (20, 200), (10, 160), (5, 120), (3, 80), (2, 60), (1, 40))
_MAX_DEPTH: Final = 12
_IDENTIFIER: Final = re.compile(r"[0-9a-f]{32,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def in_brief(data: JsonValue) -> JsonValue:
    """Return data of executions with only the first and the last text of each; others as they are.

    What happened in between would fill a small model's window before the second execution.
    """
    executions = data.get("executions") if isinstance(data, dict) else None
    if not isinstance(executions, list) or not executions:
        return data
    return {**data, "executions": [_execution_in_brief(one) for one in executions]}


def _execution_in_brief(execution: JsonValue) -> JsonValue:
    if not isinstance(execution, dict) or not isinstance(execution.get("steps"), list):
        return execution
    steps = [step for step in execution["steps"] if isinstance(step, dict)]
    texts = [step["text"] for step in steps if isinstance(step.get("text"), str)]
    brief = {key: execution.get(key) for key in ("config", "status", "inputs", "outputs", "error")}
    return {**brief, "result": texts[-1] if texts else None}


def condensed(data: JsonValue, most: int = MAX_CHARS) -> str:
    """Return what matters of data, as indented lines of `key: value`.

    Of long lists items at equal distances are shown, of long texts the beginning. Hashes and ids
    are left out: they tell a reader nothing.

    Args:
        data: A JSON value.
        most: Code points of the answer.
    """
    text = ""
    for items, chars in _WIDTHS:
        text = "\n".join(_lines(data, items, chars, 0))
        if len(text) <= most:
            return text
    return text[:most].rpartition("\n")[0] or text[:most]


def _lines(value: JsonValue, items: int, chars: int, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if depth == _MAX_DEPTH:
        yield f"{indent}…"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _entry(f"{indent}{_short(key, chars)}:", inner, items, chars, depth)
    elif isinstance(value, list):
        step = max(1, -(-len(value) // items))
        for inner in value[::step]:
            yield from _entry(f"{indent}-", inner, items, chars, depth)
    else:
        yield f"{indent}{_plain(value, chars)}"


def _entry(head: str, value: JsonValue, items: int, chars: int, depth: int) -> Iterator[str]:
    if isinstance(value, dict | list):
        if not value:
            return
        count = f" ({len(value)})" if isinstance(value, list) else ""
        yield f"{head}{count}"
        yield from _lines(value, items, chars, depth + 1)
    elif value is not None and not (isinstance(value, str) and _IDENTIFIER.fullmatch(value)):
        yield f"{head} {_plain(value, chars)}"


def _plain(value: JsonValue, chars: int) -> str:
    return _short(value, chars) if isinstance(value, str) else str(value)


def _short(text: str, chars: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= chars else f"{text[: chars - 1]}…"

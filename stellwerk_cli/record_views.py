"""A record as three kinds of people read it; see the specification, "Reading it as"."""

from __future__ import annotations

import difflib
import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from stellwerk_client.record_json import item_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stellwerk.tracker.v1.execution_pb2 import ExecutionItem, ExecutionRecord


class View(StrEnum):
    """Who reads."""

    LEARNER = "learner"
    ADVANCED = "advanced"
    RESEARCHER = "researcher"


_ADVANCED = re.compile(
    r"user_input_.*|translation_result|interception_.*|optimization_result|user_edit"
    r"|.*_safety_check.*|.*_blocked|output_.*"
)
_TRANSFORMED = ("user_edit", "interception_final")


def view_lines(record: ExecutionRecord, view: View) -> Iterator[str]:
    """Yield the lines of a record.

    Args:
        record: The record.
        view: Who reads it.
    """
    if view is View.RESEARCHER:
        yield from _every_field(record)
        return
    items = list(record.items)
    shown = _for_learners(items) if view is View.LEARNER else _for_advanced(items)
    for item in shown:
        yield ""
        yield _heading(item)
        for line in _body(item).splitlines():
            yield f"    {line}"


def _for_learners(items: list[ExecutionItem]) -> list[ExecutionItem]:
    """The own input, the last transformation, the outputs."""
    inputs = [item for item in items if item.item_type.startswith("user_input_")]
    changed = [item for item in items if item.item_type in _TRANSFORMED][-1:]
    outputs = [
        item
        for item in items
        if item.item_type.startswith("output_") or item.item_type.endswith("_blocked")
    ]
    return inputs + changed + outputs


def _for_advanced(items: list[ExecutionItem]) -> list[ExecutionItem]:
    return [item for item in items if _ADVANCED.fullmatch(item.item_type)]


def _heading(item: ExecutionItem) -> str:
    parts = [item.item_type.replace("_", " ")]
    if item.HasField("stage_iteration"):
        parts.append(f"pass {item.stage_iteration}")
    if item.HasField("loop_iteration"):
        parts.append(f"output {item.loop_iteration}")
    if item.model_used:
        parts.append(item.model_used)
    return " · ".join(parts)


def _body(item: ExecutionItem) -> str:
    told = []
    metadata = json.loads(item.metadata_json or b"{}")
    for key in ("decision", "blocked_reason", "educational_message", "from_lang", "to_lang"):
        if value := metadata.get(key):
            # A message to the person may be told in several languages.
            text = " / ".join(map(str, value.values())) if isinstance(value, dict) else value
            told.append(f"{key.replace('_', ' ')}: {text}")
    if item.content:
        told.append(item.content)
    if item.HasField("media"):
        told.append(item.media.filename or item.media.uri)
    return "\n".join(told)


def _every_field(record: ExecutionRecord) -> Iterator[str]:
    texts: dict[str, str] = {}
    last = ""
    for item in record.items:
        yield ""
        yield f"#{item.sequence_number} {item.item_type}"
        fields: dict[str, Any] = item_json(item)
        for name, value in fields.items():
            if value in (None, {}) or name in ("sequence_number", "item_type", "execution_id"):
                continue
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            first, *more = text.splitlines() or [""]
            yield f"    {name:<16} {first}"
            for line in more:
                yield f"    {'':<16} {line}"
        if item.item_type == "user_edit":
            before = texts.get(str((fields["metadata"] or {}).get("of_item")), last)
            yield from _differences(before, item.content)
        if item.content:
            texts[item.item_id] = last = item.content


def _differences(before: str, after: str) -> Iterator[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    for line in list(lines)[2:]:
        yield f"    {'changes':<16} {line}"

"""Makes whole records of older ones: a start, an end, and numbers without gaps.

Older forms say in the head of the record what ours say in its items. A store learns everything
from items, so what is missing is added, marked as added, and what is there stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export.json_form import canonical_metadata
from tracker_service.importing.ids import derived_id
from tracker_service.importing.model import ForeignRecord, MediaFiles
from tracker_service.items import ExecutionItem
from tracker_service.metadata import read_metadata
from tracker_service.records import (
    MAX_USER_INPUT,
    ExecutionState,
    ExecutionSummary,
    count_outputs,
    input_texts,
)
from tracker_service.taxonomy import TERMINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD_FACTS: Final = (
    "config_name",
    "safety_level",
    "user_id",
    "session_id",
    "group_id",
    "parent_execution_id",
    "plan_digest",
    "policy_version",
    "software_version",
    "taxonomy_version",
)
_ENDS: Final = {state: item_type for item_type, state in TERMINAL_STATES.items()}
_LEVELS: Final = frozenset({"kids", "youth", "adult", "off"})


@dataclass(slots=True)
class Draft:
    """A record while it is read.

    Attributes:
        source: Where it was found.
        execution_id: The execution.
        facts: What its head says, by our names.
        state: How it ended, as far as the head says; None: nothing.
        error: Reason of a failed one.
        items: Its items; their numbers may be wrong.
        media: Names of the files of items, by `item_id`.
        files: Has those files.
        warnings: What was odd.
    """

    source: str
    execution_id: str
    facts: dict[str, str]
    state: ExecutionState | None = None
    error: str = ""
    items: list[ExecutionItem] = field(default_factory=list)
    media: dict[str, str] = field(default_factory=dict)
    files: MediaFiles | None = None
    warnings: list[tuple[str, str]] = field(default_factory=list)


def completed(draft: Draft) -> ForeignRecord:
    """Return the whole record.

    Args:
        draft: What was read; it has at least one item.
    """
    level = draft.facts.get("safety_level", "")
    if level and level not in _LEVELS:
        draft.warnings.append(("SAFETY_LEVEL_UNKNOWN", level))
    items = _with_end(draft, _with_start(draft, draft.items))
    numbers = [item.sequence_number for item in items]
    if len(set(numbers)) < len(numbers) or min(numbers) < 1 or numbers != sorted(numbers):
        items = [item._replace(sequence_number=index) for index, item in enumerate(items, 1)]
    return ForeignRecord(
        source=draft.source,
        summary=_summary(draft, items),
        items=tuple(items),
        media=draft.media,
        files=draft.files,
        warnings=tuple(draft.warnings),
    )


def _with_start(draft: Draft, items: list[ExecutionItem]) -> list[ExecutionItem]:
    facts = {name: draft.facts[name] for name in HEAD_FACTS if draft.facts.get(name)}
    first = items[0]
    if first.item_type == "pipeline_start":
        known = read_metadata(first.metadata_json)
        missing = {name: fact for name, fact in facts.items() if not known.get(name)}
        if not missing:
            return items
        return [first._replace(metadata_json=canonical_metadata(known | missing)), *items[1:]]
    mode = draft.facts.get("execution_mode")
    start = added_item(draft, "pipeline_start", 0, first.occur_time_us, facts, mode=mode)
    # All move up by one, so that the start is number 1.
    return [start, *(one._replace(sequence_number=n) for n, one in enumerate(items, 2))]


def _with_end(draft: Draft, items: list[ExecutionItem]) -> list[ExecutionItem]:
    if draft.state is None or any(item.item_type in TERMINAL_STATES for item in items):
        return items
    item_type = _ENDS.get(draft.state.value)
    if item_type is None:
        return items
    facts = {"error_type": draft.error} if draft.error else {}
    last = items[-1]
    end = added_item(draft, item_type, 5, last.occur_time_us, facts)
    return [*items, end._replace(sequence_number=last.sequence_number + 1)]


def added_item(
    draft: Draft,
    item_type: str,
    stage: int,
    time_us: int,
    facts: Mapping[str, Any],
    *,
    mode: str | None = None,
) -> ExecutionItem:
    """Return an item that the record lacked; its metadata say that it was added."""
    note = {"added": True} | ({"execution_mode": mode} if mode else {})
    return ExecutionItem(
        item_id=derived_id(time_us, draft.execution_id, item_type, "added"),
        execution_id=draft.execution_id,
        epoch=1,
        sequence_number=1,
        occur_time_us=time_us,
        stage=stage,
        stage_iteration=None,
        loop_iteration=None,
        media_type="metadata",
        item_type=item_type,
        content=None,
        media=None,
        config_used="",
        model_used="",
        backend_used="",
        backend_job_id="",
        run_duration_us=None,
        metadata_json=canonical_metadata({**facts, "imported": note}),
    )


def _summary(draft: Draft, items: list[ExecutionItem]) -> ExecutionSummary:
    texts = input_texts(items)
    ended = next((item for item in items if item.item_type in TERMINAL_STATES), None)
    state = ExecutionState(TERMINAL_STATES[ended.item_type]) if ended else None
    return ExecutionSummary(
        execution_id=draft.execution_id,
        config_name=draft.facts.get("config_name", ""),
        safety_level=draft.facts.get("safety_level", ""),
        user_id=draft.facts.get("user_id", ""),
        session_id=draft.facts.get("session_id", ""),
        group_id=draft.facts.get("group_id", ""),
        parent_execution_id=draft.facts.get("parent_execution_id", ""),
        plan_digest=draft.facts.get("plan_digest", ""),
        policy_version=draft.facts.get("policy_version", ""),
        software_version=draft.facts.get("software_version", ""),
        taxonomy_version=draft.facts.get("taxonomy_version", ""),
        start_time_us=min(item.occur_time_us for item in items),
        end_time_us=ended.occur_time_us if ended else None,
        state=state or ExecutionState.INTERRUPTED,
        epoch=max(item.epoch for item in items),
        last_sequence_number=max(item.sequence_number for item in items),
        item_count=len(items),
        complete=ended is not None,
        missing=(),
        error=draft.error,
        user_input=texts[0][:MAX_USER_INPUT] if texts else "",
        outputs_generated=count_outputs(items),
    )

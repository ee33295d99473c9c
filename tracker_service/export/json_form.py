"""The JSON form of a record: what lies under `research_data/` and what exports hold.

It is made for people and for tools that outlive us, so its key names are those of the published
taxonomy where they differ from ours, and reading it back gives an equal record.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from tracker_service.export.facts import time_text
from tracker_service.items import ExecutionItem, MediaRef
from tracker_service.metadata import is_plain, read_finite_metadata
from tracker_service.records import (
    MAX_USER_INPUT,
    ExecutionRecord,
    ExecutionState,
    ExecutionSummary,
    count_outputs,
    input_texts,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_json(record: ExecutionRecord) -> dict[str, Any]:
    """Return the JSON form of a record.

    Args:
        record: The record.

    Returns:
        Objects, lists, text and numbers; every key is always there, null where nothing is known;
        only `erased` and an item's `late` are left out unless they are true.
    """
    return _form(record, read_finite_metadata)


def _form(record: ExecutionRecord, metadata_of: Callable[[str], Any]) -> dict[str, Any]:
    summary = record.summary
    texts = input_texts(record.items)
    form = {
        "execution_id": summary.execution_id,
        "config_name": _text(summary.config_name),
        "user_input": texts[0] if texts else _text(summary.user_input),
        "user_inputs": texts,
        "safety_level": _text(summary.safety_level),
        "user_id": _text(summary.user_id),
        "session_id": _text(summary.session_id),
        "group_id": _text(summary.group_id),
        "parent_execution_id": _text(summary.parent_execution_id),
        "start_time": _time(summary.start_time_us),
        "end_time": _time(summary.end_time_us),
        "status": summary.state.value,
        "epoch": summary.epoch,
        "complete": summary.complete,
        "missing": list(summary.missing),
        "error": _text(summary.error),
        "taxonomy_version": _text(summary.taxonomy_version),
        "plan_digest": _text(summary.plan_digest),
        "policy_version": _text(summary.policy_version),
        "software_version": _text(summary.software_version),
        "items": [_item_to_json(item, metadata_of) for item in record.items],
    }
    if summary.erased:
        form["erased"] = True
    return form


def dump(record: ExecutionRecord) -> str:
    """Return the file of a record: indented by 2, unescaped."""
    form = to_json(record)
    try:
        return orjson.dumps(form, option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONEncodeError:  # an integer of more than 64 bits
        return json.dumps(form, ensure_ascii=False, indent=2, allow_nan=False)


def dump_line(record: ExecutionRecord) -> str:
    """Return the record as one line, without the line's end."""
    return orjson.dumps(_form(record, _embedded)).decode()


def _embedded(metadata_json: str) -> orjson.Fragment:
    """Return metadata as they stand in a line: as they were recorded, if a line can hold that."""
    if is_plain(metadata_json):
        return orjson.Fragment(metadata_json or "{}")
    return orjson.Fragment(canonical_metadata(read_finite_metadata(metadata_json)))


def from_json(form: dict[str, Any]) -> ExecutionRecord:
    """Read the JSON form back.

    Metadata come back as the same JSON value; their spacing is ours.

    Args:
        form: What `to_json` made.

    Returns:
        An equal record.

    Raises:
        KeyError: A key is missing.
        TypeError: A value is of the wrong type.
        ValueError: A time or state is none.
    """
    items = tuple(_item_from_json(one) for one in form["items"])
    missing = tuple(form["missing"])
    numbers = [item.sequence_number for item in items if not item.late]
    summary = ExecutionSummary(
        execution_id=form["execution_id"],
        config_name=form["config_name"] or "",
        safety_level=form["safety_level"] or "",
        user_id=form["user_id"] or "",
        session_id=form["session_id"] or "",
        group_id=form["group_id"] or "",
        parent_execution_id=form["parent_execution_id"] or "",
        start_time_us=_microseconds(form["start_time"]),
        end_time_us=_microseconds(form["end_time"]),
        state=ExecutionState(form["status"]),
        epoch=form["epoch"],
        last_sequence_number=max([*numbers, *missing], default=0),
        item_count=len(items),
        complete=form["complete"],
        missing=missing,
        error=form["error"] or "",
        user_input=(form["user_input"] or "")[:MAX_USER_INPUT],
        plan_digest=form["plan_digest"] or "",
        policy_version=form["policy_version"] or "",
        software_version=form["software_version"] or "",
        taxonomy_version=form["taxonomy_version"] or "",
        outputs_generated=count_outputs(items),
        erased=form.get("erased", False),
    )
    return ExecutionRecord(summary, items)


def _item_to_json(item: ExecutionItem, metadata_of: Callable[[str], Any]) -> dict[str, Any]:
    media = item.media
    form: dict[str, Any] = {
        "item_id": item.item_id,
        "execution_id": item.execution_id,
        "epoch": item.epoch,
        "sequence_number": item.sequence_number,
        "timestamp": _time(item.occur_time_us),
        "stage": item.stage,
        "stage_iteration": item.stage_iteration,
        "loop_iteration": item.loop_iteration,
        "media_type": _text(item.media_type),
        "item_type": item.item_type,
        "content": item.content,
        "file_path": media.uri if media else None,
        "media": _media_to_json(media) if media else None,
        "config_used": _text(item.config_used),
        "model_used": _text(item.model_used),
        "backend_used": _text(item.backend_used),
        "prompt_id": _text(item.backend_job_id),
        "execution_time": (
            None if item.run_duration_us is None else item.run_duration_us / 1_000_000
        ),
        "metadata": metadata_of(item.metadata_json),
    }
    if item.late:
        form["late"] = True
    return form


def _item_from_json(form: dict[str, Any]) -> ExecutionItem:
    seconds = form["execution_time"]
    occur_time_us = _microseconds(form["timestamp"])
    if occur_time_us is None:
        raise ValueError("an item has no timestamp")
    metadata = form["metadata"]
    return ExecutionItem(
        item_id=form["item_id"],
        execution_id=form["execution_id"],
        epoch=form["epoch"],
        sequence_number=form["sequence_number"],
        occur_time_us=occur_time_us,
        stage=form["stage"],
        stage_iteration=form["stage_iteration"],
        loop_iteration=form["loop_iteration"],
        media_type=form["media_type"] or "",
        item_type=form["item_type"],
        content=form["content"],
        media=MediaRef(**form["media"]) if form["media"] else None,
        config_used=form["config_used"] or "",
        model_used=form["model_used"] or "",
        backend_used=form["backend_used"] or "",
        backend_job_id=form["prompt_id"] or "",
        run_duration_us=None if seconds is None else round(seconds * 1_000_000),
        metadata_json=canonical_metadata(metadata) if metadata else "",
        late=form.get("late", False),
    )


def canonical_metadata(metadata: dict[str, Any]) -> str:
    """Return metadata as text in our own spacing."""
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _media_to_json(media: MediaRef) -> dict[str, Any]:
    return {
        "uri": media.uri,
        "sha256": media.sha256,
        "size_bytes": media.size_bytes,
        "mime_type": media.mime_type,
        "filename": media.filename,
    }


def _text(value: str) -> str | None:
    return value or None


def _time(time_us: int | None) -> str | None:
    return None if time_us is None else time_text(time_us)


def _microseconds(text: str | None) -> int | None:
    if text is None:
        return None
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND

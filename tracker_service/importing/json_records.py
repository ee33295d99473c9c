"""One record as JSON: our form, taxonomy 1.0, or the older draft form."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export.archive import media_name
from tracker_service.export.json_form import canonical_metadata, from_json
from tracker_service.importing.completing import HEAD_FACTS, Draft, completed
from tracker_service.importing.ids import derived_id, execution_id_of, is_item_id
from tracker_service.importing.model import ForeignRecord, JsonObject, UnreadableError
from tracker_service.intake import MAX_SEQUENCE_NUMBER, is_execution_id
from tracker_service.items import MEDIA_TYPES, ExecutionItem, MediaRef
from tracker_service.records import ExecutionState
from tracker_service.taxonomy import RULES

if TYPE_CHECKING:
    from tracker_service.importing.model import MediaFiles
    from tracker_service.records import ExecutionSummary

MAX_EPOCH: Final = 1_000
"""Claims of one execution that are imported."""
DAMAGES: Final = (
    AttributeError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading a damaged record can raise: its values may be of any kind."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_OURS: Final = frozenset({"execution_id", "status", "epoch", "complete", "missing", "items"})
_DRAFT_STAGES: Final = {
    "stage1_translation": 1,
    "stage1_safety": 1,
    "stage2_interception": 2,
    "stage3_safety": 3,
    "stage4_generation": 4,
}
STATES: Final = {
    "complete": ExecutionState.COMPLETED,
    "error": ExecutionState.FAILED,
    **{state.value: state for state in ExecutionState},
}
_NO_TYPE: Final = re.compile(r"[^a-z0-9_]+")


def read_record(form: Any, source: str, files: MediaFiles | None = None) -> ForeignRecord:
    """Read a record in any form that we know.

    Args:
        form: The JSON value.
        source: Where it was found, for the report.
        files: The files that came along.

    Returns:
        The record; one in our own form comes back equal.

    Raises:
        UnreadableError: NO_RECORD, NO_ITEMS or RECORD_INVALID.
    """
    if not isinstance(form, dict) or not isinstance(form.get("items"), list):
        raise UnreadableError("NO_RECORD", "This is no record of an execution.")
    if is_own_form(form):
        return _own_record(form, source, files)
    if not form["items"]:
        raise UnreadableError("NO_ITEMS", "The record has no items.")
    try:
        return completed(older_draft(form, source, files))
    except DAMAGES as exc:
        raise UnreadableError("RECORD_INVALID", f"The record is damaged: {_why(exc)}.") from exc


def is_own_form(form: Any) -> bool:
    """Tell whether a JSON value has the keys of our own form."""
    return isinstance(form, dict) and form.keys() >= _OURS


def _own_record(form: JsonObject, source: str, files: MediaFiles | None) -> ForeignRecord:
    try:
        record = from_json(form)
        _check_head(record.summary)
    except DAMAGES as exc:
        raise UnreadableError("RECORD_INVALID", f"The record is damaged: {_why(exc)}.") from exc
    media = {
        item.item_id: media_name(item.media)
        for item in record.items
        if item.media is not None and item.media.sha256
    }
    return ForeignRecord(source, record.summary, record.items, media, files)


def _check_head(summary: ExecutionSummary) -> None:
    """Check what storing relies on; the items are checked one by one later.

    Raises:
        ValueError: It is not what we would have written.
    """
    numbers = (summary.epoch, *summary.missing)
    right = (
        isinstance(summary.execution_id, str)
        and is_execution_id(summary.execution_id)
        and all(type(number) is int and 0 < number <= MAX_SEQUENCE_NUMBER for number in numbers)
        and summary.epoch <= MAX_EPOCH
    )
    if not right:
        raise ValueError("no head of a record")


def _why(exc: Exception) -> str:
    if isinstance(exc, KeyError):
        return f"{exc.args[0]} is missing"
    return "a field is of the wrong kind"


# --- older forms ---------------------------------------------------------------------------------


def older_draft(form: JsonObject, source: str, files: MediaFiles | None) -> Draft:
    """Read an older record as far as it goes; see `completing.completed`.

    Args:
        form: The JSON object; it has items.
        source: Where it was found.
        files: The files that came along.

    Raises:
        ValueError: It is damaged; or any other of `DAMAGES`.
    """
    draft = Draft(
        source=source,
        execution_id=execution_id_of(str(form["execution_id"])),
        facts=facts_of(form),
        state=STATES.get(str(form.get("status", "")).lower()),
        error=_short(form, "error"),
        files=files,
    )
    start_us = time_us(form.get("start_time") or form.get("timestamp")) or 0
    for index, item in enumerate(form["items"], 1):
        draft.items.append(_older_item(draft, item, index, start_us))
    if draft.state is None and form.get("end_time"):
        draft.state = ExecutionState.COMPLETED
    return draft


def facts_of(form: JsonObject) -> dict[str, str]:
    """Return what the head of an older record says, by our names."""
    facts = {name: _short(form, name) for name in (*HEAD_FACTS, "execution_mode")}
    facts["safety_level"] = facts["safety_level"].lower()
    facts["taxonomy_version"] = facts["taxonomy_version"] or "1.0"
    return facts


def _older_item(draft: Draft, form: JsonObject, index: int, start_us: int) -> ExecutionItem:
    stage, item_type, note = _place(form)
    turn, loop = _turns(form, item_type)
    moment_us = time_us(form.get("timestamp")) or start_us
    item_id = form.get("item_id")
    if not is_item_id(item_id):
        item_id = derived_id(moment_us, draft.execution_id, index, item_type)
    number = form.get("sequence_number")
    metadata = form.get("metadata") if isinstance(form.get("metadata"), dict) else {}
    if note:
        metadata = {**(metadata or {}), "imported": note}
    media = _media(form)
    if media is not None and draft.files is not None:
        draft.media[str(item_id)] = media.uri
    content = form.get("content")
    seconds = form.get("execution_time")
    media_type = str(form.get("media_type") or "")
    return ExecutionItem(
        item_id=str(item_id),
        execution_id=draft.execution_id,
        epoch=1,
        sequence_number=number if isinstance(number, int) and number > 0 else index,
        occur_time_us=moment_us,
        stage=stage,
        stage_iteration=turn,
        loop_iteration=loop,
        media_type=media_type if media_type in MEDIA_TYPES else "",
        item_type=item_type,
        content=content if isinstance(content, str) else None,
        media=media,
        config_used=_short(form, "config_used"),
        model_used=_short(form, "model_used"),
        backend_used=_short(form, "backend_used"),
        backend_job_id=_short(form, "prompt_id"),
        run_duration_us=round(seconds * 1e6) if isinstance(seconds, int | float) else None,
        metadata_json=canonical_metadata(metadata) if metadata else "",
    )


def _turns(form: JsonObject, item_type: str) -> tuple[int | None, int | None]:
    """Return the pass of the loop and the output that an item belongs to; 1 if it must have one."""
    turn, loop = _count(form.get("stage_iteration")), _count(form.get("loop_iteration"))
    rule = RULES.get(item_type)
    if rule is not None and rule.needs_loop_iteration and loop is None:
        loop = 1
    if rule is not None and rule.needs_stage_iteration and turn is None:
        turn = _count(form.get("stage_step")) or 1
    return turn, loop


def _place(form: JsonObject) -> tuple[int, str, JsonObject]:
    """Return stage and type in our taxonomy, and what they were called, if they change."""
    told, name = form.get("stage"), str(form.get("item_type") or form.get("type") or "unknown")
    item_type = _NO_TYPE.sub("_", name.lower())[:64]
    if isinstance(told, str) and not told.isdigit():
        stage = _DRAFT_STAGES.get(told, 2)
        item_type = _draft_type(item_type, stage, str(form.get("media_type") or "image"))
        note = {"stage": told, "item_type": name}
        if form.get("stage_step") is not None:
            note["stage_step"] = form["stage_step"]
        return stage, item_type, note
    stage = int(told or 0)
    rule = RULES.get(item_type)
    if rule is not None and stage not in rule.stages:
        return min(rule.stages), item_type, {"stage": told}
    return stage, item_type, {} if item_type == name else {"item_type": name}


def _draft_type(name: str, stage: int, media_type: str) -> str:
    if name == "safety_check_result":
        return "stage3_safety_check" if stage == 3 else "stage1_safety_check"
    if name == "pre_output_safety_check":
        return "stage3_safety_check"
    if name == "interception_result":
        return "interception_final"
    if name == "generation_result":
        return f"output_{media_type}" if f"output_{media_type}" in RULES else "output_image"
    if name.startswith("pipeline_input_") and stage == 1:
        return name.replace("pipeline_input_", "user_input_")
    return name


def _media(form: JsonObject) -> MediaRef | None:
    media = form.get("media")
    if isinstance(media, dict) and media.get("uri"):
        return MediaRef(
            uri=str(media["uri"]),
            sha256=str(media.get("sha256") or ""),
            size_bytes=int(media.get("size_bytes") or 0),
            mime_type=str(media.get("mime_type") or ""),
            filename=str(media.get("filename") or ""),
        )
    path = form.get("file_path")
    return MediaRef(str(path), "", 0, "", "") if path else None


def time_us(value: object) -> int | None:
    """Return a time as microseconds since 1970 UTC; a naive one counts as UTC.

    Args:
        value: ISO text, seconds since 1970, or something else, which is None.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(value * 1e6)
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _short(form: JsonObject, key: str) -> str:
    value = form.get(key)
    return value[:256] if isinstance(value, str) else ""

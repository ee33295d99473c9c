"""From records to data that a person can read, correct and make a document of.

What matters to a person is taken: who asked for what, every text and file in order, what was
edited, what was stopped. Inner workings (checks that passed, changes of stage, what each stage was
fed) stay in the record, which names them all.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export.facts import time_text
from tracker_service.export.provenance import INPUTS, is_output, sources_of
from tracker_service.metadata import is_withheld, read_metadata, text_of
from tracker_service.records import input_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker_service.items import ExecutionItem
    from tracker_service.records import ExecutionRecord, ExecutionSummary

METHOD: Final = "execution_records"
"""Says in the record of a workflow that data were obtained so."""

_TOLD: Final = INPUTS | {
    "stage1_correction",
    "translation_result",
    "interception_iteration",
    "interception_final",
    "interception_image_transformation",
    "interception_style_transfer",
    "optimization_result",
    "user_edit",
    "pipeline_error",
    "warning",
}


def extract(records: Sequence[ExecutionRecord]) -> dict[str, Any]:
    """Return the data of executions.

    Args:
        records: The executions, in the order that they shall have; already shaped, see `Shaper`.

    Returns:
        `totals` and `executions`, each with its `steps`; JSON values. A key that has nothing to
        say is left out. Content that learners must not see is left out, too.
    """
    executions = [_execution(record) for record in records]
    return {"totals": _totals(records, executions), "executions": executions}


def extraction_confidence(records: Sequence[ExecutionRecord]) -> float:
    """Return the share of the items that were sent which these records hold, 0 to 1."""
    held = sum(record.summary.item_count for record in records)
    missing = sum(len(record.summary.missing) for record in records)
    return held / (held + missing) if held + missing else 0.0


def _totals(
    records: Sequence[ExecutionRecord], executions: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    summaries = [record.summary for record in records]
    steps = [step for execution in executions for step in execution["steps"]]
    starts = [one.start_time_us for one in summaries if one.start_time_us is not None]
    seconds = [execution.get("duration_seconds", 0) for execution in executions]
    return _known(
        executions=len(summaries),
        by_status=dict(sorted(Counter(one.state.value for one in summaries).items())),
        by_config=dict(sorted(Counter(one.config_name or "-" for one in summaries).items())),
        inputs=sum(len(execution["inputs"]) for execution in executions),
        outputs=sum(one.outputs_generated for one in summaries),
        edits=sum(step["step"] == "user_edit" for step in steps),
        models=sorted({step["model"] for step in steps if "model" in step}),
        first_start=time_text(min(starts)) if starts else None,
        last_start=time_text(max(starts)) if starts else None,
        total_duration_seconds=round(sum(seconds), 3),
    )


def _execution(record: ExecutionRecord) -> dict[str, Any]:
    summary = record.summary
    sources = sources_of(record.items)
    visible = [item for item in record.items if not is_withheld(item.metadata_json)]
    return {
        **_known(
            execution_id=summary.execution_id,
            config=summary.config_name or None,
            safety_level=summary.safety_level or None,
            status=summary.state.value,
            error=summary.error or None,
            erased=summary.erased or None,
            user=summary.user_id or None,
            session=summary.session_id or None,
            group=summary.group_id or None,
            started=None if summary.start_time_us is None else time_text(summary.start_time_us),
            duration_seconds=_seconds(summary),
            missing_items=len(summary.missing) or None,
        ),
        "inputs": input_texts(visible),
        "outputs": summary.outputs_generated,
        "steps": [
            _step(item, sources.get(item.item_id, ())) for item in record.items if _is_told(item)
        ],
    }


def _seconds(summary: ExecutionSummary) -> float | None:
    if summary.start_time_us is None or summary.end_time_us is None:
        return None
    return (summary.end_time_us - summary.start_time_us) / 1_000_000


def _is_told(item: ExecutionItem) -> bool:
    name = item.item_type
    return name in _TOLD or is_output(item) or (name.endswith("_blocked") and item.stage != 5)


def _step(item: ExecutionItem, sources: Sequence[ExecutionItem]) -> dict[str, Any]:
    step: dict[str, Any] = {"number": item.sequence_number, "step": item.item_type}
    if is_withheld(item.metadata_json):
        return {**step, "withheld": True}
    metadata = read_metadata(item.metadata_json)
    media = item.media
    was_edited = item.item_type == "user_edit" and sources
    return step | _known(
        iteration=item.stage_iteration,
        output=item.loop_iteration,
        text=item.content,
        before=sources[0].content if was_edited else None,
        media=None
        if media is None
        else {
            "sha256": media.sha256,
            "mime_type": media.mime_type,
            "size_bytes": media.size_bytes,
            "filename": media.filename,
        },
        model=item.model_used or None,
        seconds=None if item.run_duration_us is None else item.run_duration_us / 1_000_000,
        seed=metadata.get("seed"),
        note=_note(metadata),
    )


def _note(metadata: dict[str, Any]) -> str | None:
    """What was told to the person, or why something was stopped or failed."""
    message = metadata.get("educational_message")
    if isinstance(message, dict):
        message = " / ".join(text for text in message.values() if isinstance(text, str))
    reason = text_of(metadata, "blocked_reason") or text_of(metadata, "error_message")
    return (message if isinstance(message, str) and message else reason) or None


def _known(**values: Any) -> dict[str, Any]:
    """Return what is known of these."""
    return {key: value for key, value in values.items() if value is not None}

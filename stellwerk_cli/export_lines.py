"""Export workflows as lines for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from servicekit.plain import enum_word
from stellwerk.tracker.v1 import export_workflow_pb2 as model
from stellwerk_cli.tables import seconds, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from google.protobuf.timestamp_pb2 import Timestamp

    from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb

_MOST = 60
_Mean = Literal[
    "mean_total_time_seconds",
    "mean_editing_time_seconds",
    "mean_ai_processing_accuracy",
    "mean_confidence_score",
]


def line(workflow: model.ExportWorkflow) -> str:
    """Return a workflow as one line."""
    status = enum_word(model.ExportWorkflowStatus.DESCRIPTOR, workflow.status)
    made = (
        f"{workflow.document_template} {workflow.deliverable.file_format}"
        if workflow.deliverable_count
        else ""
    )
    return (
        f"{workflow.export_workflow_id}  {_moment(workflow.create_time)}  "
        f"{workflow.document_type:<20} {status:<25} {made}"
    ).rstrip()


def started(answer: pb.StartExportWorkflowResponse) -> list[str]:
    """Return the lines about a workflow that began."""
    return [line(answer.workflow), *_initial(answer.record.initial_ai_summary)]


def edited(answer: pb.RecordUserModificationsResponse) -> list[str]:
    """Return the lines about a version that was recorded."""
    return [f"version {answer.record.version}", *_edits(answer.record.user_modifications)]


def finished(record: model.ExportStageRecord) -> list[str]:
    """Return the lines about a document that was made."""
    final = record.final_summary_and_deliverable
    whole = final.workflow_summary
    told = [f"data of version {final.modification_version}"]
    if whole.HasField("ai_processing_accuracy"):
        reviewed = "" if whole.reviewed else ", reviewed by nobody"
        told.append(f"{whole.ai_processing_accuracy:.1%} of the machine's fields kept{reviewed}")
    if whole.HasField("final_output_quality"):
        quality = whole.final_output_quality
        told.append(f"judged {quality.score:.2f} by {quality.assessed_by}")
    return [
        *delivered(final.deliverable),
        f"  {final.document_template}: {'; '.join(told)}",
        f"  {_summarised(final.final_summary_metadata)}",
    ]


def delivered(deliverable: model.Deliverable) -> list[str]:
    """Return the line about a file."""
    size = f"{deliverable.file_size_bytes:,} bytes"
    return [f"{deliverable.filename}  {size}  {deliverable.content_hash}"]


def shown(workflow: model.ExportWorkflow, records: Sequence[model.ExportStageRecord]) -> list[str]:
    """Return the lines about a workflow and its records."""
    lines = [line(workflow)]
    for record in records:
        stage = enum_word(model.ExportStage.DESCRIPTOR, record.stage)
        lines += ["", f"{_moment(record.create_time)}  {stage} {record.version}"]
        match record.WhichOneof("content"):
            case "initial_ai_summary":
                lines += _initial(record.initial_ai_summary)
            case "user_modifications":
                lines += _edits(record.user_modifications)
            case "final_summary_and_deliverable":
                lines += finished(record)
    return lines


def compared(answer: pb.CompareVersionsResponse) -> list[str]:
    """Return the lines about what differs."""
    kept = (
        f"{answer.unchanged_share:.1%} of the fields kept"
        if answer.HasField("unchanged_share")
        else "no fields"
    )
    return [f"{len(answer.changes)} changes, {kept}", *_changes(answer.changes)]


def figures(answer: pb.GetExportInsightsResponse) -> list[str]:
    """Return the lines about many workflows."""
    lines = [
        f"{answer.workflow_count} workflows, {answer.completed_count} completed, "
        f"{answer.reviewed_count} reviewed"
    ]
    lines += [
        f"  mean {name}: {told}"
        for name, told in (
            ("time to the document", _mean(answer, "mean_total_time_seconds", seconds)),
            ("time of an edit", _mean(answer, "mean_editing_time_seconds", seconds)),
            ("accuracy", _mean(answer, "mean_ai_processing_accuracy", "{:.1%}".format)),
            ("confidence", _mean(answer, "mean_confidence_score", "{:.1%}".format)),
        )
        if told
    ]
    for title, counts in (
        ("formats", answer.formats),
        ("templates", answer.templates),
        ("most corrected fields", answer.most_corrected_fields),
    ):
        if counts:
            told = ", ".join(f"{one.name} {one.count}" for one in counts)
            lines.append(f"  {title}: {told}")
    return lines


def _mean(answer: pb.GetExportInsightsResponse, field: _Mean, write: Callable[[float], str]) -> str:
    """Return a mean as text; empty: there is none."""
    value: float = getattr(answer, field)
    return write(value) if answer.HasField(field) else ""


def audited(entry: pb.ExportAuditEntry) -> str:
    """Return an audit entry as one line."""
    return (
        f"{_moment(entry.time)}  {entry.event:<9}  {entry.export_workflow_id}  "
        f"{entry.file_format:<8}  {entry.content_hash}"
    )


def latest_data(records: Iterable[model.ExportStageRecord]) -> Any:
    """Return the latest version of the data."""
    text = b"null"
    for record in records:
        if record.HasField("initial_ai_summary"):
            text = record.initial_ai_summary.initial_extracted_data_json
        elif record.HasField("user_modifications"):
            text = record.user_modifications.modified_data_json
    return json.loads(text)


def _initial(first: model.InitialAiSummary) -> list[str]:
    source = first.source
    sure = (
        f", confidence {source.extraction_confidence:.2f}"
        if source.HasField("extraction_confidence")
        else ""
    )
    return [
        f"  {source.extraction_fields_count} fields by {source.extraction_method}{sure}",
        *(f"  {text}" for text in first.ai_initial_summary.splitlines()),
        f"  {_summarised(first.initial_summary_metadata)}",
    ]


def _edits(made: model.UserModifications) -> list[str]:
    actions = made.user_actions
    took = (
        f" in {seconds(actions.editing_time_seconds)}"
        if actions.HasField("editing_time_seconds")
        else ""
    )
    return [f"  {actions.fields_edited_count} changes{took}", *_changes(made.changes)]


def _changes(changes: Sequence[model.FieldChange]) -> list[str]:
    rows = [
        (
            one.field,
            "moved"
            if one.moved_from
            else enum_word(model.FieldChangeType.DESCRIPTOR, one.change_type),
            _short(one.moved_from or one.old_json.decode()),
            _short(one.new_json.decode()),
        )
        for one in changes
    ]
    return [f"  {row}" for row in table(("field", "change", "old", "new"), rows)] if rows else []


def _summarised(metadata: model.SummaryMetadata) -> str:
    by = metadata.ai_model or f"extraction ({metadata.fallback_reason or 'no model'})"
    took = seconds(metadata.processing_time_ms / 1000)
    checked = (
        f", {metadata.confidence_score:.0%} of its facts in the data"
        if metadata.HasField("confidence_score")
        else ""
    )
    return f"summary by {by} in {took}{checked}"


def _short(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"


def _moment(time: Timestamp) -> str:
    return time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")

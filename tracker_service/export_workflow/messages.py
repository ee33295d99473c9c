"""Workflows and their records to protobuf."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stellwerk.tracker.v1 import export_workflow_pb2 as model_pb
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from tracker_service import converters
from tracker_service.export_workflow.documents import dump
from tracker_service.export_workflow.model import (
    ChangeType,
    FinalDeliverable,
    InitialSummary,
    Stage,
    Status,
    UserModifications,
)
from tracker_service.export_workflow.paths import path_text
from tracker_service.export_workflow.retention import DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.insights import ExportInsights, Figures
    from tracker_service.export_workflow.model import (
        Deliverable,
        FieldChange,
        Workflow,
        WorkflowSummary,
    )
    from tracker_service.export_workflow.recorded import Recorded
    from tracker_service.export_workflow.store import AuditEntry
    from tracker_service.export_workflow.summary.model import SummaryMetadata
    from tracker_service.export_workflow.workflows import Comparison

_STATUSES: Final = {
    status: model_pb.ExportWorkflowStatus.Value(f"EXPORT_WORKFLOW_STATUS_{status.name}")
    for status in Status
}
_STAGES: Final = {
    stage: model_pb.ExportStage.Value(f"EXPORT_STAGE_{stage.name}") for stage in Stage
}
_CHANGE_TYPES: Final = {
    kind: model_pb.FieldChangeType.Value(f"FIELD_CHANGE_TYPE_{kind.name}") for kind in ChangeType
}


class Messages:
    """Writes messages; knows how long workflows are kept."""

    def __init__(self, ttl_days: int) -> None:
        """Tell that workflows are removed so many days after their last record; 0: never."""
        self._ttl_days = ttl_days

    def workflow(self, workflow: Workflow) -> model_pb.ExportWorkflow:
        """Write a workflow."""
        message = model_pb.ExportWorkflow(
            export_workflow_id=workflow.export_workflow_id,
            document_id=workflow.document_id,
            owner=workflow.owner,
            status=_STATUSES[workflow.status],
            document_type=workflow.document_type,
            language=workflow.language.value,
            modification_version=workflow.modification_version,
            deliverable_count=workflow.deliverable_count,
            document_template=workflow.document_template,
            deliverable=deliverable(workflow.deliverable) if workflow.deliverable else None,
            ai_processing_accuracy=workflow.ai_processing_accuracy,
        )
        converters.set_time(message.create_time, workflow.create_time_us)
        converters.set_time(message.update_time, workflow.update_time_us)
        if self._ttl_days:
            expire_us = workflow.update_time_us + self._ttl_days * DAY_US
            converters.set_time(message.expire_time, expire_us)
        return message


def record(recorded: Recorded) -> model_pb.ExportStageRecord:
    """Write a record."""
    workflow, stored = recorded.workflow, recorded.record
    message = model_pb.ExportStageRecord(
        id=stored.record_id,
        export_workflow_id=workflow.export_workflow_id,
        document_id=workflow.document_id,
        owner=workflow.owner,
        stage=_STAGES[stored.stage],
        version=stored.version,
    )
    converters.set_time(message.create_time, stored.create_time_us)
    match stored.content:
        case InitialSummary() as first:
            message.initial_ai_summary.CopyFrom(_initial(first))
        case UserModifications() as edited:
            message.user_modifications.CopyFrom(_modifications(edited, recorded.data_before))
        case FinalDeliverable() as final:
            message.final_summary_and_deliverable.CopyFrom(_final(final))
    return message


def deliverable(of: Deliverable) -> model_pb.Deliverable:
    """Write a deliverable."""
    return model_pb.Deliverable(
        filename=of.filename,
        file_size_bytes=of.file_size_bytes,
        file_format=of.file_format,
        mime_type=of.mime_type,
        content_hash=of.content_hash,
        stored=of.stored,
    )


def comparison(of: Comparison) -> pb.CompareVersionsResponse:
    """Write a comparison."""
    return pb.CompareVersionsResponse(
        from_data_json=_json(of.before),
        to_data_json=_json(of.after),
        changes=[_change(one) for one in of.changes],
        unchanged_share=of.unchanged_share,
    )


def insights(of: ExportInsights) -> pb.GetExportInsightsResponse:
    """Write figures."""
    whole = of.figures
    return pb.GetExportInsightsResponse(
        workflow_count=whole.workflow_count,
        completed_count=whole.completed_count,
        reviewed_count=whole.reviewed_count,
        formats=_counts(of.formats),
        templates=_counts(of.templates),
        most_corrected_fields=_counts(of.fields),
        mean_total_time_seconds=whole.mean_total_time_seconds,
        mean_editing_time_seconds=whole.mean_editing_time_seconds,
        mean_ai_processing_accuracy=whole.mean_ai_processing_accuracy,
        mean_confidence_score=whole.mean_confidence_score,
        days=[_day(day, figures) for day, figures in of.days],
    )


def audit_entry(of: AuditEntry) -> pb.ExportAuditEntry:
    """Write an audit entry."""
    message = pb.ExportAuditEntry(
        event=of.event,
        export_workflow_id=of.export_workflow_id,
        content_hash=of.content_hash,
        file_format=of.file_format,
        file_size_bytes=of.file_size_bytes,
    )
    converters.set_time(message.time, of.time_us)
    return message


def _initial(of: InitialSummary) -> model_pb.InitialAiSummary:
    source = of.source
    return model_pb.InitialAiSummary(
        source=model_pb.ExportSource(
            document_type=source.document_type,
            extraction_method=source.extraction_method,
            extraction_confidence=source.extraction_confidence,
            extraction_fields_count=source.extraction_fields_count,
            provenance_json=b"" if source.provenance is None else _json(source.provenance),
            execution_ids=source.execution_ids,
        ),
        initial_extracted_data_json=_json(of.data),
        ai_initial_summary=of.summary.text,
        initial_summary_metadata=_metadata(of.summary.metadata),
    )


def _modifications(of: UserModifications, before: JsonValue) -> model_pb.UserModifications:
    return model_pb.UserModifications(
        original_data_json=_json(before),
        modified_data_json=_json(of.data),
        user_preferences=model_pb.ExportPreferences(
            transformation_instructions=of.preferences.transformation_instructions,
            export_format=of.preferences.export_format,
            document_template=of.preferences.document_template,
        ),
        changes=[_change(one) for one in of.changes],
        user_actions=model_pb.UserActions(
            fields_edited_count=of.actions.fields_edited_count,
            editing_time_seconds=of.actions.editing_time_seconds,
            edits_per_minute=of.actions.edits_per_minute,
        ),
    )


def _final(of: FinalDeliverable) -> model_pb.FinalSummaryAndDeliverable:
    return model_pb.FinalSummaryAndDeliverable(
        ai_final_summary=of.summary.text,
        final_summary_metadata=_metadata(of.summary.metadata),
        deliverable=deliverable(of.deliverable),
        workflow_summary=_whole(of.whole),
        document_template=of.document_template,
        modification_version=of.modification_version,
    )


def _whole(of: WorkflowSummary) -> model_pb.WorkflowSummary:
    quality = of.final_output_quality
    return model_pb.WorkflowSummary(
        total_time_seconds=of.total_time_us / 1_000_000,
        ai_processing_accuracy=of.ai_processing_accuracy,
        reviewed=of.reviewed,
        final_output_quality=None
        if quality is None
        else model_pb.OutputQuality(
            score=quality.score, assessed_by=quality.assessed_by, is_check=quality.is_check
        ),
    )


def _metadata(of: SummaryMetadata) -> model_pb.SummaryMetadata:
    return model_pb.SummaryMetadata(
        ai_model=of.ai_model,
        processing_time_ms=of.processing_time_ms,
        tokens_used=of.tokens_used,
        confidence_score=of.confidence_score,
        extraction_method=of.extraction_method.value,
        fallback_reason=of.fallback_reason,
    )


def _change(of: FieldChange) -> model_pb.FieldChange:
    return model_pb.FieldChange(
        field=of.field,
        change_type=_CHANGE_TYPES[of.change_type],
        old_json=None if of.change_type is ChangeType.ADDITION else _json(of.old),
        new_json=None if of.change_type is ChangeType.DELETION else _json(of.new),
        moved_from="" if of.moved_from is None else path_text(of.moved_from),
    )


def _counts(of: Iterable[tuple[str, int]]) -> list[pb.ExportCount]:
    return [pb.ExportCount(name=name, count=count) for name, count in of]


def _day(day: str, figures: Figures) -> pb.ExportDay:
    return pb.ExportDay(
        day=day,
        workflow_count=figures.workflow_count,
        completed_count=figures.completed_count,
        mean_total_time_seconds=figures.mean_total_time_seconds,
        mean_ai_processing_accuracy=figures.mean_ai_processing_accuracy,
        mean_confidence_score=figures.mean_confidence_score,
    )


def _json(value: JsonValue) -> bytes:
    return dump(value).encode()

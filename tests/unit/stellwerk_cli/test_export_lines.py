"""What people read about export workflows."""

from __future__ import annotations

from stellwerk.tracker.v1 import export_workflow_pb2 as model
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk_cli import export_lines

WORKFLOW = model.ExportWorkflow(
    export_workflow_id="0197",
    document_type="invoice",
    status=model.EXPORT_WORKFLOW_STATUS_COMPLETED,
    deliverable_count=1,
    document_template="data_table",
    deliverable=model.Deliverable(file_format="pdf"),
)
CHANGES = [
    model.FieldChange(
        field="a.b",
        change_type=model.FIELD_CHANGE_TYPE_MODIFICATION,
        old_json=b"1",
        new_json=b'"' + b"x" * 100 + b'"',
    ),
    model.FieldChange(
        field="l[0]",
        change_type=model.FIELD_CHANGE_TYPE_MODIFICATION,
        moved_from="l[2]",
        new_json=b"7",
    ),
    model.FieldChange(field="gone", change_type=model.FIELD_CHANGE_TYPE_DELETION, old_json=b"null"),
]
RECORDS = [
    model.ExportStageRecord(
        stage=model.EXPORT_STAGE_INITIAL_AI_SUMMARY,
        version=1,
        initial_ai_summary=model.InitialAiSummary(
            source=model.ExportSource(extraction_fields_count=3, extraction_method="given"),
            initial_extracted_data_json=b'{"a": {"b": 1}}',
            ai_initial_summary="One line.\nAnother.",
            initial_summary_metadata=model.SummaryMetadata(
                ai_model="ollama/gemma3:4b", processing_time_ms=1500, confidence_score=0.5
            ),
        ),
    ),
    model.ExportStageRecord(
        stage=model.EXPORT_STAGE_USER_MODIFICATIONS,
        version=1,
        user_modifications=model.UserModifications(
            modified_data_json=b'{"a": {"b": 2}}',
            changes=CHANGES,
            user_actions=model.UserActions(fields_edited_count=3, editing_time_seconds=90),
        ),
    ),
    model.ExportStageRecord(
        stage=model.EXPORT_STAGE_FINAL_SUMMARY_AND_DELIVERABLE,
        version=1,
        final_summary_and_deliverable=model.FinalSummaryAndDeliverable(
            deliverable=model.Deliverable(filename="a.pdf", file_size_bytes=1234),
            workflow_summary=model.WorkflowSummary(
                ai_processing_accuracy=0.5,
                reviewed=True,
                final_output_quality=model.OutputQuality(score=0.25, assessed_by="rita"),
            ),
            document_template="data_table",
            modification_version=1,
        ),
    ),
]


def test_a_workflow_is_shown_with_all_that_was_recorded() -> None:
    """Every stage says what it is about: fields, summary, changes, file, accuracy, judgement."""
    text = "\n".join(export_lines.shown(WORKFLOW, RECORDS))
    for said in (
        "completed",
        "data_table pdf",
        "initial_ai_summary 1",
        "3 fields by given",
        "  One line.\n  Another.",
        "summary by ollama/gemma3:4b in 1.5 s, 50% of its facts in the data",
        "3 changes in 90 s",
        "moved",
        "deletion",
        "a.pdf  1,234 bytes",
        "50.0% of the machine's fields kept",
        "judged 0.25 by rita",
    ):
        assert said in text
    assert "…" in text
    assert "x" * 61 not in text


def test_the_latest_data_are_those_of_the_last_edit() -> None:
    """An edit replaces what the machine read."""
    assert export_lines.latest_data(RECORDS[:1]) == {"a": {"b": 1}}
    assert export_lines.latest_data(RECORDS) == {"a": {"b": 2}}


def test_figures_leave_out_what_nobody_measured() -> None:
    """A mean of nothing is not shown."""
    answer = pb.GetExportInsightsResponse(
        workflow_count=2,
        mean_ai_processing_accuracy=0.9,
        most_corrected_fields=[pb.ExportCount(name="items[].price", count=3)],
    )
    text = "\n".join(export_lines.figures(answer))
    assert "2 workflows" in text
    assert "accuracy: 90.0%" in text
    assert "items[].price 3" in text
    assert "confidence" not in text
    assert "formats" not in text

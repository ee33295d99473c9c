"""Makes workflows and records for tests of their store."""

from __future__ import annotations

import hashlib
from typing import Any

import uuid_utils

from tracker_service.export_workflow import rules
from tracker_service.export_workflow.editing import modifications
from tracker_service.export_workflow.model import (
    Deliverable,
    FinalDeliverable,
    InitialSummary,
    Preferences,
    Source,
    Stage,
    StageRecord,
    Status,
    Workflow,
    WorkflowSummary,
)
from tracker_service.export_workflow.summary.model import (
    Language,
    Method,
    Summary,
    SummaryMetadata,
)

SUMMARY = Summary("Eine Blume.", SummaryMetadata(Method.EXTRACTIVE, "", 5, None, 0.5, "NO_MODEL"))


def new_id() -> str:
    """Make an id."""
    return str(uuid_utils.uuid7())


def make_workflow(now_us: int, owner: str = "rita", **fields: Any) -> Workflow:
    """Make a workflow that has just been started."""
    values: dict[str, Any] = {
        "export_workflow_id": new_id(),
        "document_id": "d",
        "owner": owner,
        "status": Status.AWAITING_USER_REVIEW,
        "create_time_us": now_us,
        "update_time_us": now_us,
        "document_type": "note",
        "language": Language.GERMAN,
    }
    return Workflow(**(values | fields))


def make_record(content: Any, now_us: int, version: int = 1) -> StageRecord:
    """Make a record."""
    return StageRecord(new_id(), now_us, version, content, "digest")


def make_initial(now_us: int, data: Any, execution_ids: tuple[str, ...] = ()) -> StageRecord:
    """Make a record of stage 1."""
    source = Source("note", "given", None, 1, {"von": "\0 Anna"}, execution_ids)
    return make_record(InitialSummary(source, data, SUMMARY), now_us)


def make_edit(workflow: Workflow, before: Any, after: Any, now_us: int) -> StageRecord:
    """Make a record of stage 2 that took two seconds."""
    content = modifications(before, after, Preferences("kurz", "pdf", "data_table"), 2.0, 60.0)
    return make_record(content, now_us, rules.number_of_next(workflow, Stage.USER_MODIFICATIONS))


def make_delivery(workflow: Workflow, file: bytes, now_us: int, form: str = "pdf") -> StageRecord:
    """Make a record of stage 3."""
    deliverable = Deliverable(
        f"a.{form}", len(file), form, "x/y", f"sha256:{hashlib.sha256(file).hexdigest()}"
    )
    whole = WorkflowSummary(
        now_us - workflow.create_time_us, 0.75, workflow.modification_version > 0
    )
    content = FinalDeliverable(
        SUMMARY, deliverable, whole, "data_table", workflow.modification_version
    )
    number = rules.number_of_next(workflow, Stage.FINAL_SUMMARY_AND_DELIVERABLE)
    return make_record(content, now_us, number)

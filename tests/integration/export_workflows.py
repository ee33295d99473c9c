"""Calls of ExportWorkflowService, as its tests make them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from servicekit.principals import Role, identity_metadata
from stellwerk.tracker.v1 import export_workflow_pb2 as model
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from tests.integration.tracker import make_item, make_start, new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Sequence

    from tests.integration.tracker import Tracker

RITA = identity_metadata(user="rita", session="s-rita", group="", role=Role.RESEARCHER)
BEN = identity_metadata(user="ben", session="s-ben", group="", role=Role.RESEARCHER)
DATA = {
    "number": 7,
    "unit.price": 3.5,
    'the "best"': True,
    "items": [{"id": 1, "text": "Blume", "next": 2}, {"id": 2, "text": "Baum", "next": 1}],
    "note": None,
}
NOWHERE = "127.0.0.1:1"
"""Address of a generation service that is away: summaries are extractive, pictures missing."""


@dataclass(frozen=True)
class File:
    """A deliverable as it came.

    Attributes:
        record: Its record.
        data: Its bytes.
    """

    record: model.ExportStageRecord
    data: bytes

    @property
    def final(self) -> model.FinalSummaryAndDeliverable:
        """What was delivered."""
        return self.record.final_summary_and_deliverable


async def start(tracker: Tracker, who: Any = RITA, **fields: Any) -> pb.StartExportWorkflowResponse:
    """Start a workflow."""
    return await tracker.workflows.StartExportWorkflow(
        pb.StartExportWorkflowRequest(**fields), metadata=who
    )


def document(data: Any, **fields: Any) -> pb.JsonDocument:
    """Return data to hand in; bytes as they are, anything else as JSON."""
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return pb.JsonDocument(**({"document_type": "invoice", "data_json": text} | fields))


async def edit(
    tracker: Tracker, name: str, data: Any, who: Any = RITA, **fields: Any
) -> pb.RecordUserModificationsResponse:
    """Record a version of the data; `form` and `template` are what is wanted of the document."""
    wanted = model.ExportPreferences(
        export_format=fields.pop("form", ""), document_template=fields.pop("template", "")
    )
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return await tracker.workflows.RecordUserModifications(
        pb.RecordUserModificationsRequest(
            export_workflow_id=name, modified_data_json=text, user_preferences=wanted, **fields
        ),
        metadata=who,
    )


async def finish(
    tracker: Tracker, name: str, form: str = "", template: str = "", who: Any = RITA
) -> File:
    """Have the document made."""
    wanted = model.ExportPreferences(export_format=form, document_template=template)
    request = pb.FinishExportWorkflowRequest(export_workflow_id=name, preferences=wanted)
    return await file_of(tracker.workflows.FinishExportWorkflow(request, metadata=who))


async def regenerate(
    tracker: Tracker, name: str, form: str = "", template: str = "", who: Any = RITA
) -> File:
    """Have another document made."""
    request = pb.RegenerateDeliverableRequest(
        export_workflow_id=name, export_format=form, document_template=template
    )
    return await file_of(tracker.workflows.RegenerateDeliverable(request, metadata=who))


async def file_of(
    parts: AsyncIterable[pb.FinishExportWorkflowResponse | pb.RegenerateDeliverableResponse],
) -> File:
    """Return what a stream brought."""
    received = [part async for part in parts]
    return File(received[0].record, b"".join(part.data for part in received[1:]))


async def read(
    tracker: Tracker, name: str, who: Any = RITA
) -> tuple[model.ExportWorkflow, Sequence[model.ExportStageRecord]]:
    """Return a workflow and all of its records."""
    request = pb.GetExportWorkflowRequest(export_workflow_id=name)
    stream = tracker.workflows.GetExportWorkflow(request, metadata=who)
    parts = [part async for part in stream]
    return parts[0].workflow, [part.record for part in parts[1:]]


async def history(tracker: Tracker, who: Any = RITA, **fields: Any) -> list[model.ExportWorkflow]:
    """Return the first page of a history."""
    request = pb.ListExportHistoryRequest(**fields)
    return list((await tracker.workflows.ListExportHistory(request, metadata=who)).workflows)


async def audit(tracker: Tracker, **fields: Any) -> list[pb.ExportAuditEntry]:
    """Return the first page of the audit."""
    request = pb.ListExportAuditRequest(**fields)
    return list((await tracker.workflows.ListExportAudit(request, metadata=RITA)).entries)


def values(changes: Sequence[model.FieldChange]) -> list[tuple[str, str, Any, Any]]:
    """Return changes as (field, type, old, new); the place it had before for a moved item."""
    return [
        (
            one.field,
            "moved"
            if one.moved_from
            else model.FieldChangeType.Name(one.change_type).rpartition("_")[2].lower(),
            one.moved_from or (json.loads(one.old_json) if one.HasField("old_json") else None),
            json.loads(one.new_json) if one.HasField("new_json") else None,
        )
        for one in changes
    ]


async def record_session(tracker: Tracker, count: int) -> list[str]:
    """Record executions of Anna; each has a text, a transformation and an edit."""
    names = [new_id() for _ in range(count)]
    for number, name in enumerate(names):
        await tracker.record(
            make_start(name),
            make_item(name, 2, "user_input_text", stage=1, content=f"Blume {number} 🌼"),
            make_item(name, 3, "interception_final", stage=2, content=f"Dada {number}"),
            make_item(name, 4, "pipeline_complete", stage=5),
        )
    return names


async def started(tracker: Tracker, who: Any = RITA, data: Any = DATA) -> str:
    """Start a workflow over handed-in data and return its name."""
    begun = await start(tracker, who, document=document(data))
    name: str = begun.workflow.export_workflow_id
    return name


def leaves(value: Any) -> int:
    """Count the fields of data by hand."""
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list)) or not children:
        return 1
    return sum(leaves(child) for child in children)

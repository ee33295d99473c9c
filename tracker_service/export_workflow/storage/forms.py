"""The text in which the content of a record is stored; the data of it are stored beside."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tracker_service.export_workflow.documents import dump, load
from tracker_service.export_workflow.model import (
    ChangeType,
    Deliverable,
    FieldChange,
    FinalDeliverable,
    InitialSummary,
    Preferences,
    Quality,
    Source,
    Stage,
    StageRecord,
    UserActions,
    UserModifications,
    WorkflowSummary,
)
from tracker_service.export_workflow.summary.model import Method, Summary, SummaryMetadata

if TYPE_CHECKING:
    from tracker_service.export_workflow.model import Content

_DATA = "data"


def content_texts(content: Content) -> tuple[str, str | None]:
    """Return the text of a content, and that of its data; None: it has none."""
    form = asdict(content)
    has_data = _DATA in form
    data = form.pop(_DATA, None)
    return dump(form), dump(data) if has_data else None


def read_record(
    record_id: str,
    version: int,
    create_time_us: int,
    digest: str,
    stage: int,
    content: str,
    data: str | None,
) -> StageRecord:
    """Read a record from its row."""
    form = load(content)
    value = load(data) if data is not None else None
    read: Content
    match Stage(stage):
        case Stage.INITIAL_AI_SUMMARY:
            read = _initial(form, value)
        case Stage.USER_MODIFICATIONS:
            read = _modifications(form, value)
        case Stage.FINAL_SUMMARY_AND_DELIVERABLE:
            read = _final(form)
    return StageRecord(record_id, create_time_us, version, read, digest)


def deliverable_text(deliverable: Deliverable | None) -> str:
    """Return the text of a deliverable; empty: there is none."""
    return dump(asdict(deliverable)) if deliverable else ""


def read_deliverable(text: str) -> Deliverable | None:
    """Read what `deliverable_text` wrote."""
    return Deliverable(**load(text)) if text else None


def _initial(form: dict[str, Any], data: Any) -> InitialSummary:
    source = form["source"]
    source["execution_ids"] = tuple(source["execution_ids"])
    return InitialSummary(Source(**source), data, _summary(form["summary"]))


def _modifications(form: dict[str, Any], data: Any) -> UserModifications:
    return UserModifications(
        data=data,
        preferences=Preferences(**form["preferences"]),
        changes=tuple(_change(one) for one in form["changes"]),
        actions=UserActions(**form["actions"]),
    )


def _final(form: dict[str, Any]) -> FinalDeliverable:
    whole = form["whole"]
    quality = whole["final_output_quality"]
    whole["final_output_quality"] = Quality(**quality) if quality else None
    return FinalDeliverable(
        summary=_summary(form["summary"]),
        deliverable=Deliverable(**form["deliverable"]),
        whole=WorkflowSummary(**whole),
        document_template=form["document_template"],
        modification_version=form["modification_version"],
        instructions=form["instructions"],
    )


def _summary(form: dict[str, Any]) -> Summary:
    metadata = form["metadata"]
    metadata["extraction_method"] = Method(metadata["extraction_method"])
    return Summary(form["text"], SummaryMetadata(**metadata))


def _change(form: dict[str, Any]) -> FieldChange:
    moved_from = form["moved_from"]
    return FieldChange(
        path=tuple(form["path"]),
        change_type=ChangeType(form["change_type"]),
        old=form["old"],
        new=form["new"],
        moved_from=None if moved_from is None else tuple(moved_from),
    )

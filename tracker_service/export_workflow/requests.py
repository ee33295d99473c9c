"""Requests of workflows from protobuf, held against the limits."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from servicekit.errors import InvalidArgumentError
from stellwerk.tracker.v1 import export_workflow_pb2 as model_pb
from tracker_service import converters
from tracker_service.export_workflow import limits
from tracker_service.export_workflow.documents import read_document
from tracker_service.export_workflow.model import Preferences, Quality, Status
from tracker_service.export_workflow.sources import GivenDocument, Selection
from tracker_service.export_workflow.store import WorkflowFilter
from tracker_service.export_workflow.workflows import Edit, Start
from tracker_service.intake import is_execution_id
from tracker_service.store.interface import ExecutionFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from servicekit.principals import Principal
    from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
    from tracker_service.export_workflow.documents import JsonValue

_STATUSES: Final = {
    number: Status[name.removeprefix("EXPORT_WORKFLOW_STATUS_")]
    for name, number in model_pb.ExportWorkflowStatus.items()
    if number
}


def read_start(request: pb.StartExportWorkflowRequest) -> Start:
    """Read what begins a workflow.

    Raises:
        InvalidArgumentError: As StartExportWorkflow says.
    """
    return Start(
        export_workflow_id=_optional_id(request.export_workflow_id, "export_workflow_id"),
        wanted=_read_source(request),
        language=limits.read_language(request.language),
        digest=digest_of(request),
    )


def read_edit(request: pb.RecordUserModificationsRequest) -> Edit:
    """Read a version of the data.

    Raises:
        InvalidArgumentError: As RecordUserModifications says.
    """
    preferences = read_preferences(request.user_preferences)
    limits.check_preferences(preferences)
    seconds = request.editing_time_seconds if request.HasField("editing_time_seconds") else None
    return Edit(
        export_workflow_id=request.export_workflow_id,
        record_id=_optional_id(request.record_id, "record_id"),
        data=read_document(request.modified_data_json, "modified_data_json"),
        preferences=preferences,
        editing_seconds=limits.check_seconds(seconds, "editing_time_seconds"),
        base_version=request.base_version if request.HasField("base_version") else None,
        digest=digest_of(request),
    )


def read_preferences(message: model_pb.ExportPreferences) -> Preferences:
    """Read what somebody wants of a document, unchecked."""
    return Preferences(
        transformation_instructions=message.transformation_instructions,
        export_format=message.export_format,
        document_template=message.document_template,
    )


def read_history_filter(request: pb.ListExportHistoryRequest) -> WorkflowFilter:
    """Read the filter of a history.

    Raises:
        InvalidArgumentError: STATUS_UNSPECIFIED.
    """
    status = None
    if request.status:
        status = _STATUSES.get(request.status)
        if status is None:
            raise InvalidArgumentError(
                "STATUS_UNSPECIFIED", "There is no such status.", field="status"
            )
    return replace(
        read_span(request),
        status=status,
        document_type=request.document_type,
        file_format=request.file_format,
        document_template=request.document_template,
        document_id=request.document_id,
    )


def read_span(
    request: pb.ListExportHistoryRequest | pb.GetExportInsightsRequest,
) -> WorkflowFilter:
    """Read the times of a filter."""
    lower, upper = request.create_time_from, request.create_time_before
    return WorkflowFilter(
        create_from_us=(
            converters.bounded_us(lower) if request.HasField("create_time_from") else None
        ),
        create_before_us=(
            converters.bounded_us(upper) if request.HasField("create_time_before") else None
        ),
    )


def read_quality(request: pb.RateDeliverableRequest, principal: Principal) -> Quality:
    """Read a judgement.

    Raises:
        InvalidArgumentError: SCORE_INVALID or TEXT_TOO_LONG.
    """
    limits.check_share(request.score, "SCORE_INVALID", "score")
    name = limits.check_text(request.check_name, limits.MAX_NAME, "check_name")
    return Quality(request.score, name or principal.id, is_check=bool(name))


def read_provenance(data: bytes, field: str) -> JsonValue:
    """Read what was told of where data come from; None: nothing.

    Raises:
        InvalidArgumentError: DOCUMENT_INVALID, DOCUMENT_TOO_LARGE or DOCUMENT_TOO_DEEP.
    """
    if not data:
        return None
    if len(data) > limits.MAX_PROVENANCE_BYTES:
        raise InvalidArgumentError("DOCUMENT_TOO_LARGE", f"`{field}` is over 64 KiB.", field=field)
    value = read_document(data, field)
    if not isinstance(value, dict):
        raise InvalidArgumentError("DOCUMENT_INVALID", f"`{field}` must be an object.", field=field)
    return value


def digest_of(message: Message) -> str:
    """Return a hash of a message, by which its repetition is known."""
    return hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()


def _optional_id(text: str, field: str) -> str:
    return limits.check_id(text, field) if text else ""


def _read_source(request: pb.StartExportWorkflowRequest) -> Selection | GivenDocument:
    match request.WhichOneof("source"):
        case "execution_id":
            names = _read_execution_ids([request.execution_id], "execution_id")
            return Selection("execution", names, ExecutionFilter())
        case "selection":
            return _read_selection(request.selection)
        case "document":
            return _read_given(request.document)
        case _:
            raise InvalidArgumentError(
                "SOURCE_MISSING", "Name an execution, a selection or a document.", field="source"
            )


def _read_selection(message: pb.ExecutionSelection) -> Selection:
    names = _read_execution_ids(message.execution_ids, "selection.execution_ids")
    wanted = replace(converters.read_filter(message), user_id=message.user_id)
    if not names and wanted == ExecutionFilter():
        raise InvalidArgumentError(
            "SOURCE_MISSING", "Say which executions are wanted.", field="selection"
        )
    return Selection("execution_selection", names, wanted)


def _read_execution_ids(names: Sequence[str], field: str) -> tuple[str, ...]:
    if not all(is_execution_id(name) for name in names):
        raise InvalidArgumentError(
            "INVALID_ID", f"`{field}` holds what is no id of an execution.", field=field
        )
    return tuple(names)


def _read_given(message: pb.JsonDocument) -> GivenDocument:
    def text(name: str) -> str:
        return limits.check_text(getattr(message, name), limits.MAX_NAME, f"document.{name}")

    if not message.document_type:
        raise InvalidArgumentError(
            "SOURCE_MISSING", "Say what kind of data it is.", field="document.document_type"
        )
    confidence = (
        message.extraction_confidence if message.HasField("extraction_confidence") else None
    )
    return GivenDocument(
        document_type=text("document_type"),
        document_id=text("document_id"),
        data=read_document(message.data_json, "document.data_json"),
        provenance=read_provenance(message.provenance_json, "document.provenance_json"),
        extraction_method=text("extraction_method"),
        extraction_confidence=limits.check_share(
            confidence, "CONFIDENCE_INVALID", "document.extraction_confidence"
        ),
    )

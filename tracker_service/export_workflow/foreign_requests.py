"""Records of foreign systems from protobuf, held against the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from servicekit.errors import InvalidArgumentError, PermissionDeniedError
from servicekit.principals import Role
from tracker_service import converters
from tracker_service.export_workflow import limits
from tracker_service.export_workflow.documents import count_fields, read_document
from tracker_service.export_workflow.foreign import ForeignRecord
from tracker_service.export_workflow.model import (
    Deliverable,
    FinalDeliverable,
    InitialSummary,
    Quality,
    Source,
    StageRecord,
    UserActions,
    UserModifications,
    WorkflowSummary,
)
from tracker_service.export_workflow.requests import (
    digest_of,
    read_preferences,
    read_provenance,
)
from tracker_service.export_workflow.sources import GIVEN, MAX_EXECUTIONS
from tracker_service.export_workflow.summary.model import Method, Summary, SummaryMetadata
from tracker_service.intake import is_execution_id

if TYPE_CHECKING:
    from servicekit.principals import Principal
    from stellwerk.tracker.v1 import export_workflow_pb2 as model_pb
    from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.model import Content

MAX_FILENAME: Final = 255
_FIRST: Final = "record.initial_ai_summary"
_EDITED: Final = "record.user_modifications"
_LAST: Final = "record.final_summary_and_deliverable"


def read_foreign(request: pb.RecordExportStageRequest, principal: Principal) -> ForeignRecord:
    """Read a record of a foreign system.

    Args:
        request: The request.
        principal: Who brings it.

    Raises:
        InvalidArgumentError: As RecordExportStage says.
        PermissionDeniedError: OWNER_NOT_ALLOWED.
    """
    message = request.record
    content, data_before = _read_content(message)
    if not message.HasField("create_time"):
        raise InvalidArgumentError(
            "TIME_INVALID", "`create_time` is missing.", field="record.create_time"
        )
    name = limits.check_id(message.export_workflow_id, "record.export_workflow_id")
    record = StageRecord(
        record_id=limits.check_id(message.id, "record.id"),
        create_time_us=converters.bounded_us(message.create_time),
        version=0,
        content=content,
        digest=digest_of(request),
    )
    document_id = limits.check_text(message.document_id, limits.MAX_NAME, "record.document_id")
    return ForeignRecord(
        export_workflow_id=name,
        document_id=document_id or name,
        owner=_read_owner(message, principal),
        language=limits.read_language(request.language),
        record=record,
        data_before=data_before,
    )


def _read_owner(message: model_pb.ExportStageRecord, principal: Principal) -> str:
    owner = limits.check_text(message.owner, limits.MAX_NAME, "record.owner") or principal.id
    if owner != principal.id and principal.role not in (Role.SERVICE, Role.ADMIN):
        raise PermissionDeniedError(
            "OWNER_NOT_ALLOWED", "Only services and admins may record for somebody else."
        )
    return owner


def _read_content(message: model_pb.ExportStageRecord) -> tuple[Content, JsonValue]:
    match message.WhichOneof("content"):
        case "initial_ai_summary":
            return _read_initial(message.initial_ai_summary), None
        case "user_modifications":
            return _read_modifications(message.user_modifications)
        case "final_summary_and_deliverable":
            return _read_final(message.final_summary_and_deliverable), None
        case _:
            raise InvalidArgumentError(
                "CONTENT_MISSING", "The record is of no stage.", field="record"
            )


def _read_initial(message: model_pb.InitialAiSummary) -> InitialSummary:
    source = message.source
    data = read_document(
        message.initial_extracted_data_json, f"{_FIRST}.initial_extracted_data_json"
    )
    if not source.document_type:
        raise InvalidArgumentError(
            "CONTENT_MISSING",
            "Say what kind of data it is.",
            field=f"{_FIRST}.source.document_type",
        )
    names = tuple(dict.fromkeys(source.execution_ids))
    if len(names) > MAX_EXECUTIONS or not all(map(is_execution_id, names)):
        raise InvalidArgumentError(
            "INVALID_ID",
            f"Name at most {MAX_EXECUTIONS} executions by their ids.",
            field=f"{_FIRST}.source.execution_ids",
        )
    confidence = source.extraction_confidence if source.HasField("extraction_confidence") else None
    return InitialSummary(
        source=Source(
            document_type=_name(source.document_type, f"{_FIRST}.source.document_type"),
            extraction_method=_name(
                source.extraction_method or GIVEN, f"{_FIRST}.source.extraction_method"
            ),
            extraction_confidence=limits.check_share(
                confidence, "CONFIDENCE_INVALID", f"{_FIRST}.source.extraction_confidence"
            ),
            extraction_fields_count=count_fields(data),
            provenance=read_provenance(source.provenance_json, f"{_FIRST}.source.provenance_json"),
            execution_ids=names,
        ),
        data=data,
        summary=_read_summary(message.ai_initial_summary, message.initial_summary_metadata, _FIRST),
    )


def _read_modifications(
    message: model_pb.UserModifications,
) -> tuple[UserModifications, JsonValue]:
    preferences = read_preferences(message.user_preferences)
    place = f"{_EDITED}.user_preferences"
    limits.check_text(
        preferences.transformation_instructions,
        limits.MAX_INSTRUCTIONS,
        f"{place}.transformation_instructions",
    )
    _name(preferences.export_format, f"{place}.export_format")
    _name(preferences.document_template, f"{place}.document_template")
    data = read_document(message.modified_data_json, f"{_EDITED}.modified_data_json")
    before = None
    if message.original_data_json:
        before = read_document(message.original_data_json, f"{_EDITED}.original_data_json")
    told = message.HasField("user_actions")
    seconds = limits.check_seconds(
        message.user_actions.editing_time_seconds if told else None,
        f"{_EDITED}.user_actions.editing_time_seconds",
    )
    # Changes and their number are computed when it is known what the data were before.
    return UserModifications(data, preferences, (), UserActions(0, seconds)), before


def _read_final(message: model_pb.FinalSummaryAndDeliverable) -> FinalDeliverable:
    file = message.deliverable
    place = f"{_LAST}.deliverable"
    if file.file_size_bytes < 0:
        raise InvalidArgumentError(
            "CONTENT_MISSING", "A file has no negative size.", field=f"{place}.file_size_bytes"
        )
    return FinalDeliverable(
        summary=_read_summary(message.ai_final_summary, message.final_summary_metadata, _LAST),
        deliverable=Deliverable(
            filename=limits.check_text(file.filename, MAX_FILENAME, f"{place}.filename"),
            file_size_bytes=file.file_size_bytes,
            file_format=_name(file.file_format, f"{place}.file_format"),
            mime_type=_name(file.mime_type, f"{place}.mime_type"),
            content_hash=limits.check_hash(file.content_hash, f"{place}.content_hash"),
            stored=False,
        ),
        whole=WorkflowSummary(0, None, False, _read_quality(message.workflow_summary)),
        document_template=_name(message.document_template, f"{_LAST}.document_template"),
        modification_version=0,
    )


def _read_quality(message: model_pb.WorkflowSummary) -> Quality | None:
    if not message.HasField("final_output_quality"):
        return None
    quality, place = message.final_output_quality, f"{_LAST}.workflow_summary.final_output_quality"
    if not quality.assessed_by:
        raise InvalidArgumentError(
            "CONTENT_MISSING", "Say who or which check judged.", field=f"{place}.assessed_by"
        )
    limits.check_share(quality.score, "SCORE_INVALID", f"{place}.score")
    return Quality(
        quality.score, _name(quality.assessed_by, f"{place}.assessed_by"), quality.is_check
    )


def _read_summary(text: str, message: model_pb.SummaryMetadata, place: str) -> Summary:
    confidence = message.confidence_score if message.HasField("confidence_score") else None
    extractive = message.extraction_method == Method.EXTRACTIVE
    return Summary(
        limits.check_text(text, limits.MAX_SUMMARY, place),
        SummaryMetadata(
            extraction_method=Method.EXTRACTIVE if extractive else Method.GENERATIVE,
            ai_model=_name(message.ai_model, f"{place}.ai_model"),
            processing_time_ms=max(0, message.processing_time_ms),
            tokens_used=message.tokens_used if message.HasField("tokens_used") else None,
            confidence_score=limits.check_share(
                confidence, "CONFIDENCE_INVALID", f"{place}.confidence_score"
            ),
            fallback_reason=_name(message.fallback_reason, f"{place}.fallback_reason"),
        ),
    )


def _name(text: str, field: str) -> str:
    return limits.check_text(text, limits.MAX_NAME, field)

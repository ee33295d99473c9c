"""From data to a document that one can stand behind: three recorded stages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse

from gateway import workflows
from gateway.identity import Staff
from gateway.problems import Answers, documented
from gateway.routes.answers import Id, Services, Settings, answers_with, plain
from gateway.routes.research import Filter, selection_of
from gateway.streams import live_workflow, streaming
from servicekit.errors import InvalidArgumentError
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk.tracker.v1.export_workflow_pb2 import ExportPreferences, ExportWorkflowStatus

router = APIRouter(prefix="/api/exports", tags=["exports"])

Template = Literal["executive_summary", "full_report", "data_table", "learning_journey"]
Format = Literal["json", "csv", "xlsx", "pdf", "docx", "markdown", "html"]
Status = Literal["", "awaiting_user_review", "awaiting_final_processing", "completed"]
Version = Annotated[int, Query(ge=0, lt=2**31, description="Its number.")]
_ERRORS = documented(400, 401, 403, 404, 409, 422, 429, 503)
_UUID = r"^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILE: Answers = {
    200: {
        "description": "The document; `Content-Digest` has its SHA-256.",
        "content": {
            "application/json": {"schema": {}},
            "text/csv": _BINARY,
            "text/markdown": _BINARY,
            "text/html": _BINARY,
            "application/pdf": _BINARY,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _BINARY,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document": _BINARY,
        },
    }
}


_EVENTS: Answers = {
    200: {
        "description": "`workflow` at each change, `deliverable_ready` when a document is there.",
        "content": {
            "text/event-stream": {
                "example": "event: deliverable_ready\n"
                'data: {"deliverable_ready": 1, "workflow": {}}\n\n'
            }
        },
    }
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Selection(Filter):
    """Several executions, at most 100, in the order of their start."""

    execution_ids: list[Annotated[str, Field(max_length=64)]] = Field(
        default=[], max_length=100, description="Just these."
    )


class Document(_Body):
    """Data of any kind."""

    document_type: str = Field(
        min_length=1, max_length=128, description="What kind of data it is.", examples=["invoice"]
    )
    document_id: str = Field("", max_length=128, description="Your name of it.")
    data: Any = Field(description="An object or array, at most 1 MiB.")
    provenance: dict[str, Any] | None = Field(None, description="Where the data come from.")
    extraction_method: str = Field("", max_length=128, description="How a machine made them.")
    extraction_confidence: float | None = Field(
        None, ge=0, le=1, description="How sure that machine was."
    )


class Begin(_Body):
    """A source; exactly one."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "document": {"document_type": "invoice", "data": {"total": 12.5}},
                    "language": "de",
                }
            ]
        },
    )

    execution_id: str = Field("", max_length=64, description="One execution.")
    selection: Selection | None = Field(None, description="Several executions.")
    document: Document | None = Field(None, description="Data of your own.")
    language: Literal["de", "en"] = Field("en", description="Of summaries and documents.")
    export_workflow_id: str = Field(
        "", pattern=_UUID, description="A UUID of yours; then the request may be repeated."
    )


class Preferences(_Body):
    """What a document should be; what is empty is taken from the latest version of the data."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"document_template": "full_report", "export_format": "pdf"}]
        },
    )

    transformation_instructions: str = Field(
        "", max_length=workflows.INSTRUCTIONS, description="What the final summary should heed."
    )
    export_format: Format | Literal[""] = Field("", description="Form of the file.")
    document_template: Template | Literal[""] = Field("", description="Kind of document.")


class Modifications(_Body):
    """A version of the data."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"modified_data": {"total": 13}, "base_version": 0}]},
    )

    modified_data: Any = Field(description="The whole data after editing.")
    user_preferences: Preferences | None = Field(None, description="What the document should be.")
    editing_time_seconds: float | None = Field(None, ge=0, description="How long it took.")
    base_version: int | None = Field(
        None, ge=0, lt=2**31, description="Version that was edited; a newer one refuses this."
    )
    record_id: str = Field(
        "", pattern=_UUID, description="A UUID of yours; then the request may be repeated."
    )


class Again(_Body):
    """Another document of the same data; what is empty stays as in the latest one."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"export_format": "docx"}]}
    )

    export_format: Format | Literal[""] = Field("", description="Form of the file.")
    document_template: Template | Literal[""] = Field("", description="Kind of document.")


class Rating(_Body):
    """A person's judgement of a document."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"score": 0.8}]})

    score: float = Field(ge=0, le=1, description="0 to 1.")
    version: int = Field(0, ge=0, lt=2**31, description="Number of the document. 0: the latest.")


class Whole(BaseModel):
    """A workflow with all that was recorded of it."""

    workflow: dict[str, Any] = Field(description="An ExportWorkflow.")
    records: list[dict[str, Any]] = Field(description="ExportStageRecords, in order.")


@router.post(
    "",
    status_code=201,
    responses=answers_with(pb.StartExportWorkflowResponse.DESCRIPTOR, 201) | _ERRORS,
    response_class=JSONResponse,
)
async def begin(wanted: Begin, staff: Staff, services: Services) -> JSONResponse:
    """Begin: read the data out of a source and have them summarised."""
    request = pb.StartExportWorkflowRequest(
        export_workflow_id=wanted.export_workflow_id, language=wanted.language
    )
    if bool(wanted.execution_id) + bool(wanted.selection) + bool(wanted.document) != 1:
        raise InvalidArgumentError(
            "SOURCE_MISSING", "Name one source: execution_id, selection or document."
        )
    if wanted.execution_id:
        request.execution_id = wanted.execution_id
    elif wanted.selection:
        chosen = selection_of(wanted.selection)
        request.selection.CopyFrom(
            pb.ExecutionSelection(**chosen, execution_ids=wanted.selection.execution_ids)
        )
    elif wanted.document:
        request.document.CopyFrom(document_of(wanted.document))
    begun = await services.workflows.StartExportWorkflow(request, timeout=workflows.START_SECONDS)
    return plain(begun, 201)


@router.get(
    "/history",
    responses=answers_with(pb.ListExportHistoryResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def history(
    staff: Staff,
    services: Services,
    status: Annotated[Status, Query(description="Only in it.")] = "",
    document_type: Annotated[str, Query(max_length=128, description="Only of it.")] = "",
    file_format: Annotated[str, Query(max_length=64, description="Only as it.")] = "",
    document_template: Annotated[str, Query(max_length=64, description="Only by it.")] = "",
    page_size: Annotated[int, Query(ge=1, le=1000, description="Most rows in a page.")] = 50,
    page_token: Annotated[str, Query(max_length=400, description="Of the page before.")] = "",
) -> JSONResponse:
    """List your workflows, the latest first."""
    word = (status or "unspecified").upper()
    request = pb.ListExportHistoryRequest(
        status=ExportWorkflowStatus.Value(f"EXPORT_WORKFLOW_STATUS_{word}"),
        document_type=document_type,
        file_format=file_format,
        document_template=document_template,
        page_size=page_size,
        page_token=page_token,
    )
    return plain(await services.workflows.ListExportHistory(request))


@router.get(
    "/insights",
    responses=answers_with(pb.GetExportInsightsResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def insights(staff: Staff, services: Services) -> JSONResponse:
    """Return figures of your workflows: formats, templates, corrected fields, accuracy."""
    return plain(await services.workflows.GetExportInsights(pb.GetExportInsightsRequest()))


@router.get("/{workflow_id}", responses=_ERRORS)
async def show(workflow_id: Id, staff: Staff, services: Services) -> Whole:
    """Return a workflow with all its stages and versions."""
    found = await workflows.read_workflow(services, workflow_id)
    return Whole(workflow=found.facts, records=found.records)


@router.post(
    "/{workflow_id}/modifications",
    responses=answers_with(pb.RecordUserModificationsResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def modify(
    workflow_id: Id, wanted: Modifications, staff: Staff, services: Services
) -> JSONResponse:
    """Record a version of the data; what changed is computed."""
    request = pb.RecordUserModificationsRequest(
        export_workflow_id=workflow_id,
        record_id=wanted.record_id,
        modified_data_json=workflows.json_bytes(wanted.modified_data, "modified_data"),
        editing_time_seconds=wanted.editing_time_seconds,
        base_version=wanted.base_version,
    )
    if wanted.user_preferences is not None:
        request.user_preferences.CopyFrom(ExportPreferences(**wanted.user_preferences.model_dump()))
    return plain(await services.workflows.RecordUserModifications(request))


@router.post(
    "/{workflow_id}/deliverable", responses=_FILE | _ERRORS, response_class=StreamingResponse
)
async def deliver(
    workflow_id: Id, wanted: Preferences, staff: Staff, services: Services
) -> StreamingResponse:
    """Have the document made, and send it."""
    opened = await workflows.finish(
        services,
        workflow_id,
        wanted.document_template,
        wanted.export_format,
        wanted.transformation_instructions,
    )
    return opened.response()


@router.get(
    "/{workflow_id}/deliverable", responses=_FILE | _ERRORS, response_class=StreamingResponse
)
async def deliverable(
    workflow_id: Id, staff: Staff, services: Services, version: Version = 0
) -> StreamingResponse:
    """Send a document that was made; 0 is the latest."""
    return (await workflows.open_file(services, workflow_id, version)).response()


@router.post(
    "/{workflow_id}/regenerate", responses=_FILE | _ERRORS, response_class=StreamingResponse
)
async def regenerate(
    workflow_id: Id, wanted: Again, staff: Staff, services: Services
) -> StreamingResponse:
    """Have another document made of the same data, and send it."""
    opened = await workflows.regenerate(
        services, workflow_id, wanted.document_template, wanted.export_format
    )
    return opened.response()


@router.get(
    "/{workflow_id}/events",
    response_class=EventSourceResponse,
    responses=_EVENTS | documented(401, 403, 404, 422, 429, 503),
)
async def events(
    request: Request,
    workflow_id: Id,
    staff: Staff,
    services: Services,
    settings: Settings,
    after: Annotated[int, Query(ge=0, lt=2**31, description="Documents already known.")] = 0,
) -> EventSourceResponse:
    """Stream how far a workflow is, and when a document is ready."""
    stream = live_workflow(services, workflow_id, after, request.app.state.stopping)
    return await streaming(stream, settings.heartbeat_seconds)


@router.get(
    "/{workflow_id}/comparison",
    responses=answers_with(pb.CompareVersionsResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def compare(
    workflow_id: Id,
    staff: Staff,
    services: Services,
    from_version: Version = 0,
    to_version: Version = 0,
) -> JSONResponse:
    """Return what differs between two versions of the data; 0 is what the machine made."""
    request = pb.CompareVersionsRequest(
        export_workflow_id=workflow_id, from_version=from_version, to_version=to_version
    )
    return plain(await services.workflows.CompareVersions(request))


@router.post(
    "/{workflow_id}/rating",
    responses=answers_with(pb.RateDeliverableResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def rate(workflow_id: Id, wanted: Rating, staff: Staff, services: Services) -> JSONResponse:
    """Record how good a document is, in place of an earlier judgement."""
    request = pb.RateDeliverableRequest(
        export_workflow_id=workflow_id, version=wanted.version, score=wanted.score
    )
    return plain(await services.workflows.RateDeliverable(request))


def document_of(wanted: Document) -> pb.JsonDocument:
    """Return data of any kind as the tracker takes them.

    Raises:
        InvalidArgumentError: DOCUMENT_TOO_LARGE or DOCUMENT_INVALID.
    """
    provenance = wanted.provenance
    limit = workflows.PROVENANCE_BYTES
    return pb.JsonDocument(
        document_type=wanted.document_type,
        document_id=wanted.document_id,
        data_json=workflows.json_bytes(wanted.data, "document.data"),
        provenance_json=b""
        if provenance is None
        else workflows.json_bytes(provenance, "document.provenance", limit),
        extraction_method=wanted.extraction_method,
        extraction_confidence=wanted.extraction_confidence,
    )

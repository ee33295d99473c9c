"""Records for those who work with them: find, read, count, take out, bring in, verify, erase."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.exports import EXPORT_SECONDS, export_format, open_export
from gateway.identity import Staff
from gateway.imports import import_parts
from gateway.neighbours import Neighbours
from gateway.problems import Answers, documented
from gateway.routes.answers import Id, Services, answers_with, plain
from servicekit.errors import InvalidArgumentError
from stellwerk.common.v1.types_pb2 import SafetyLevel
from stellwerk.tracker.v1 import export_service_pb2 as export_pb
from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from stellwerk.tracker.v1.execution_pb2 import ExecutionState, ExecutionSummary

router = APIRouter(prefix="/api/research", tags=["research"])

IMPORT_PATH = "/api/research/import"
ERASE_SECONDS = 60.0
PREVIEW_CHARACTERS = 50
Format = Literal["json", "jsonl", "csv", "xlsx", "parquet", "pdf", "zip", "ro-crate", "prov-json"]
State = Literal[
    "running", "awaiting_edit", "completed", "blocked", "failed", "cancelled", "interrupted"
]
PageSize = Annotated[int, Query(ge=1, le=1000, description="Most rows in a page.")]
PageToken = Annotated[str, Query(max_length=400, description="Of the page before. Empty: first.")]
_ERRORS = documented(400, 401, 403, 404, 409, 413, 422, 429, 503)
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILE: Answers = {
    200: {
        "description": "The file.",
        "content": {
            "application/json": {"schema": {}},
            "application/jsonl": _BINARY,
            "text/csv": _BINARY,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _BINARY,
            "application/vnd.apache.parquet": _BINARY,
            "application/pdf": _BINARY,
            "application/zip": _BINARY,
        },
    }
}
ConfigName = Annotated[
    str, Path(min_length=1, max_length=128, description="Name of the config.", examples=["dada"])
]


class Filter(BaseModel):
    """Which executions; what is left out does not filter."""

    model_config = ConfigDict(extra="forbid")

    config_name: str = Field("", max_length=128, description="Only of this config.")
    user_id: str = Field("", max_length=64, description="Only of this pseudonym.")
    session_id: str = Field("", max_length=64, description="Only of this session.")
    states: list[State] = Field(default=[], max_length=7, description="Only in one of these.")
    start_time_from: AwareDatetime | None = Field(None, description="Started at it or later.")
    start_time_before: AwareDatetime | None = Field(None, description="Started before it.")


class Search(Filter):
    """Which executions to list, and how. A body, since words of people belong in no address."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"config_name": "dada", "text": "Blume", "page_size": 20}]},
    )

    safety_level: Literal["", "kids", "youth", "adult", "off"] = Field(
        "", description="Only of it."
    )
    model_used: str = Field("", max_length=200, description="Only with an item of this model.")
    item_type: str = Field("", max_length=64, description="Only with an item of this type.")
    text: str = Field("", max_length=200, description="Only with these words in its texts.")
    order: Literal["newest", "oldest"] = Field("newest", description="By start.")
    page_size: int = Field(50, ge=1, le=1000, description="Most rows in a page.")
    page_token: str = Field("", max_length=400, description="Of the page before.")


class Export(Filter):
    """Which executions to take out, and in which form."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"format": "parquet", "config_name": "dada"}]},
    )

    format: Format = Field(description="Of the file.")
    execution_ids: list[Annotated[str, Field(max_length=64)]] = Field(
        default=[], max_length=10_000, description="Just these."
    )
    pseudonymise: bool = Field(False, description="Show pseudonyms; researchers get them anyway.")
    drop_media: bool = Field(False, description="Leave files out.")
    drop_text: bool = Field(False, description="Leave texts out.")


class Listed(BaseModel):
    """One execution in a short list."""

    id: str = Field(description="The execution.")
    start_time: datetime = Field(description="When it began.")
    status: str = Field(description="Its state.")
    preview: str = Field(description="The first 50 characters of the idea.")


class ShortList(BaseModel):
    """A page of a short list."""

    executions: list[Listed] = Field(description="The newest first.")
    next_page_token: str = Field(description="Empty: this was the last page.")


class Person(BaseModel):
    """Whose content shall be erased."""

    model_config = ConfigDict(extra="forbid")

    user_id: str = Field(
        min_length=1, max_length=64, description="The pseudonym.", examples=["u-7f3a"]
    )


@router.get("/execution/{execution_id}", responses=_FILE | _ERRORS, response_class=JSONResponse)
async def record(execution_id: Id, staff: Staff, services: Services) -> StreamingResponse:
    """Send one record, whole, in the form that loads back."""
    return await _file(
        services,
        export_pb.ExportExecutionsRequest(
            format=export_pb.EXPORT_FORMAT_JSON, execution_ids=[execution_id]
        ),
    )


@router.get("/config/{name}/executions", responses=_ERRORS)
async def of_config(
    name: ConfigName,
    staff: Staff,
    services: Services,
    page_size: PageSize = 50,
    page_token: PageToken = "",
) -> ShortList:
    """List the executions of a config, the newest first."""
    page = await services.tracker.ListExecutions(
        pb.ListExecutionsRequest(config_name=name, page_size=page_size, page_token=page_token)
    )
    return ShortList(
        executions=[_listed(each) for each in page.executions],
        next_page_token=page.next_page_token,
    )


@router.get("/config/{name}/export", responses=_FILE | _ERRORS, response_class=StreamingResponse)
async def export_of_config(
    name: ConfigName,
    staff: Staff,
    services: Services,
    format: Annotated[Format, Query(description="Of the file.")] = "zip",
) -> StreamingResponse:
    """Send all executions of a config as one file."""
    return await _file(
        services,
        export_pb.ExportExecutionsRequest(format=export_format(format), config_name=name),
    )


@router.post(
    "/search",
    responses=answers_with(pb.ListExecutionsResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def search(wanted: Search, staff: Staff, services: Services) -> JSONResponse:
    """List executions that match."""
    level = f"SAFETY_LEVEL_{(wanted.safety_level or 'unspecified').upper()}"
    order = pb.ExecutionOrder.Value(f"EXECUTION_ORDER_{wanted.order.upper()}_FIRST")
    request = pb.ListExecutionsRequest(
        **selection_of(wanted),
        safety_level=SafetyLevel.Value(level),
        model_used=wanted.model_used,
        item_type=wanted.item_type,
        text=wanted.text,
        order=order,
        page_size=wanted.page_size,
        page_token=wanted.page_token,
    )
    return plain(await services.tracker.ListExecutions(request))


@router.get(
    "/sessions",
    responses=answers_with(pb.ListSessionsResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def sessions(
    staff: Staff, services: Services, page_size: PageSize = 50, page_token: PageToken = ""
) -> JSONResponse:
    """List sessions, the one with the latest execution first."""
    request = pb.ListSessionsRequest(page_size=page_size, page_token=page_token)
    return plain(await services.tracker.ListSessions(request))


@router.get(
    "/sessions/{session_id}",
    responses=answers_with(pb.GetSessionResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def session(session_id: Id, staff: Staff, services: Services) -> JSONResponse:
    """Return a session with its executions."""
    return plain(await services.tracker.GetSession(pb.GetSessionRequest(session_id=session_id)))


@router.get(
    "/statistics",
    responses=answers_with(pb.GetStatisticsResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def statistics(
    staff: Staff,
    services: Services,
    by: Annotated[
        list[Literal["day", "config", "model", "level"]],
        Query(max_length=4, description="What the figures are split by."),
    ] = [],  # noqa: B006 - FastAPI copies it
    config_name: Annotated[str, Query(max_length=128, description="Only of this config.")] = "",
) -> JSONResponse:
    """Return figures of all executions that the caller may see."""
    dimensions = [
        pb.StatisticsDimension.Value(f"STATISTICS_DIMENSION_{each.upper()}") for each in by
    ]
    request = pb.GetStatisticsRequest(config_name=config_name, dimensions=dimensions)
    return plain(await services.tracker.GetStatistics(request))


@router.post("/export", responses=_FILE | _ERRORS, response_class=StreamingResponse)
async def export(wanted: Export, staff: Staff, services: Services) -> StreamingResponse:
    """Send executions as one file."""
    return await _file(
        services,
        export_pb.ExportExecutionsRequest(
            **selection_of(wanted),
            format=export_format(wanted.format),
            execution_ids=wanted.execution_ids,
            pseudonymise=wanted.pseudonymise,
            drop_media=wanted.drop_media,
            drop_text=wanted.drop_text,
        ),
    )


@router.post(
    "/import",
    responses=answers_with(export_pb.ImportExecutionsResponse.DESCRIPTOR)
    | documented(400, 401, 403, 422, 429, 503),
    response_class=JSONResponse,
    openapi_extra={
        "requestBody": {
            "description": "The file itself: JSON, JSON Lines or ZIP.",
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def import_(
    request: Request,
    staff: Staff,
    services: Services,
    filename: Annotated[str, Query(max_length=200, description="For the report.")] = "",
    dry_run: Annotated[bool, Query(description="Only say what would be done.")] = False,
) -> JSONResponse:
    """Bring records in; nothing is stored twice."""
    header = export_pb.ImportExecutionsHeader(filename=filename, dry_run=dry_run)
    parts = import_parts(header, request.stream())
    return plain(await services.export.ImportExecutions(parts, timeout=EXPORT_SECONDS))


@router.post(
    "/execution/{execution_id}/verify",
    responses=answers_with(pb.VerifyChainResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def verify(execution_id: Id, staff: Staff, services: Services) -> JSONResponse:
    """Tell whether a record was changed since it was stored."""
    return plain(
        await services.tracker.VerifyChain(pb.VerifyChainRequest(execution_id=execution_id))
    )


@router.post(
    "/erase",
    responses=answers_with(pb.ErasureReceipt.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def erase(person: Person, staff: Staff, services: Services) -> JSONResponse:
    """Erase all content of a pseudonym, and return the receipt."""
    request = pb.EraseUserRequest(user_id=person.user_id)
    return plain((await services.tracker.EraseUser(request, timeout=ERASE_SECONDS)).receipt)


@router.get(
    "/erasures/{receipt_id}",
    responses=answers_with(pb.ErasureReceipt.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def erasure(receipt_id: Id, staff: Staff, services: Services) -> JSONResponse:
    """Return a receipt as it is now."""
    request = pb.GetErasureRequest(receipt_id=receipt_id)
    return plain((await services.tracker.GetErasure(request)).receipt)


def selection_of(wanted: Filter) -> dict[str, Any]:
    """Return a filter as the fields of the contract, which are the same in all its requests."""
    return {
        "config_name": wanted.config_name,
        "user_id": wanted.user_id,
        "session_id": wanted.session_id,
        "states": [ExecutionState.Value(f"EXECUTION_STATE_{s.upper()}") for s in wanted.states],
        "start_time_from": _timestamp(wanted.start_time_from),
        "start_time_before": _timestamp(wanted.start_time_before),
    }


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    timestamp = Timestamp()
    try:
        timestamp.FromDatetime(time)
    except (OverflowError, ValueError):  # the first and last days, in some time zones
        raise InvalidArgumentError("TIME_INVALID", "There is no such time in UTC.") from None
    return timestamp


def _listed(summary: ExecutionSummary) -> Listed:
    state = ExecutionState.Name(summary.state).removeprefix("EXECUTION_STATE_").lower()
    return Listed(
        id=summary.execution_id,
        start_time=datetime.fromisoformat(summary.start_time.ToJsonString()),
        status=state,
        preview=summary.user_input[:PREVIEW_CHARACTERS],
    )


async def _file(
    services: Neighbours, request: export_pb.ExportExecutionsRequest
) -> StreamingResponse:
    """Send an export; whether its file can be built decides between it and a problem."""
    return (await open_export(services, request)).response()

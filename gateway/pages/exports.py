"""From data to a document: summary, changes, document, each recorded; and what was made before."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import UploadFile

from gateway import workflows
from gateway.identity import Staff
from gateway.pages.export_form import edited
from gateway.pages.export_view import SHOWN_FORMATS, ExportView, differences_of
from gateway.pages.language import LANGUAGES, language_of
from gateway.pages.rendering import HEADERS, pages_of
from gateway.pages.research_facets import Facets
from gateway.pages.works import Work, Works
from gateway.routes import exports
from gateway.routes.answers import Id, Services
from servicekit.errors import InvalidArgumentError
from servicekit.plain import plain_message
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb
from stellwerk.tracker.v1.export_workflow_pb2 import ExportPreferences

if TYPE_CHECKING:
    from starlette.datastructures import FormData

    from gateway.neighbours import Neighbours

router = APIRouter(prefix="/exports", include_in_schema=False)

ROWS = 50
TOP_FIELDS = 10
PREVIEW_BYTES = 256 * 1024
PREVIEW_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "sandbox",
    )
)
"""A document is shown, and nothing in it acts or is asked for."""
Version = Annotated[int, Query(ge=0, lt=2**31)]
Number = Annotated[int, Path(ge=0, lt=2**31)]


@router.get("")
async def history(
    request: Request,
    staff: Staff,
    services: Services,
    page_token: Annotated[str, Query(max_length=400)] = "",
) -> Response:
    """Offer to begin, list what was begun before, and show figures of all of it."""
    asked = pb.ListExportHistoryRequest(page_size=ROWS, page_token=page_token)
    page, insights, usage = await asyncio.gather(
        services.workflows.ListExportHistory(asked),
        services.workflows.GetExportInsights(pb.GetExportInsightsRequest(field_limit=TOP_FIELDS)),
        services.tracker.ListConfigUsage(tracker_pb.ListConfigUsageRequest()),
    )
    found = plain_message(page)
    return pages_of(request).page(
        request,
        "exports/history.html",
        facets=Facets(),
        configs=sorted((each.config_name, each.execution_count) for each in usage.configs),
        workflows=found.get("workflows", []),
        next_page_token=found.get("next_page_token", ""),
        insights=plain_message(insights),
    )


@router.post("")
async def begin(request: Request, staff: Staff, services: Services) -> Response:
    """Begin: have the data read and summarised, while a page says that it is done."""
    form = await request.form()
    wanted = await _source(form, services, language_of(request))

    async def start(_: Work) -> str:
        begun = await services.workflows.StartExportWorkflow(
            wanted, timeout=workflows.START_SECONDS
        )
        return str(begun.workflow.export_workflow_id)

    return _waiting(request, await _works(request).begin(staff, start, back="/exports"))


@router.get("/works/{work_id}")
async def progress(request: Request, work_id: Id, staff: Staff) -> Response:
    """Tell whether it is done; then lead to the workflow."""
    work = _works(request).find(work_id, staff)
    if work.outcome is not None:
        return _to(request, f"/exports/{work.outcome}")
    part = "hx-request" in request.headers
    template = "exports/_work.html" if part else "exports/work.html"
    return pages_of(request).page(request, template, work=work)


@router.get("/{workflow_id}")
async def show(workflow_id: Id, request: Request, staff: Staff, services: Services) -> Response:
    """Show a workflow."""
    view = ExportView(await workflows.read_workflow(services, workflow_id))
    return pages_of(request).page(
        request, "exports/workflow.html", view=view, shown_formats=SHOWN_FORMATS
    )


@router.post("/{workflow_id}/data")
async def change(workflow_id: Id, request: Request, staff: Staff, services: Services) -> Response:
    """Record what the person changed and, where they want it, have the document made."""
    form = await request.form()
    view = ExportView(await workflows.read_workflow(services, workflow_id))
    data = edited(view.data, _texts(form))
    wants_document = _text(form, "way") == "document"
    wanted = _preferences(form, is_complete=wants_document)
    is_changed = workflows.json_bytes(data, "data") != workflows.json_bytes(view.data, "data")
    if is_changed or not wants_document:
        await services.workflows.RecordUserModifications(
            pb.RecordUserModificationsRequest(
                export_workflow_id=workflow_id,
                modified_data_json=workflows.json_bytes(data, "data"),
                user_preferences=wanted,
                editing_time_seconds=_seconds(form),
                base_version=_base_version(form, view.version),
            )
        )
    if not wants_document:
        return _to(request, f"/exports/{workflow_id}")

    async def finish(_: Work) -> str:
        opened = await workflows.finish(
            services,
            workflow_id,
            wanted.document_template,
            wanted.export_format,
            wanted.transformation_instructions,
        )
        opened.close()  # it is stored
        return workflow_id

    return _waiting(
        request, await _works(request).begin(staff, finish, back=f"/exports/{workflow_id}")
    )


@router.post("/{workflow_id}/regenerate")
async def regenerate(
    workflow_id: Id, request: Request, staff: Staff, services: Services
) -> Response:
    """Have another document made of the same data."""
    wanted = _preferences(await request.form(), is_complete=True)

    async def make(_: Work) -> str:
        opened = await workflows.regenerate(
            services, workflow_id, wanted.document_template, wanted.export_format
        )
        opened.close()
        return workflow_id

    return _waiting(
        request, await _works(request).begin(staff, make, back=f"/exports/{workflow_id}")
    )


@router.post("/{workflow_id}/rating")
async def rate(
    workflow_id: Id,
    request: Request,
    staff: Staff,
    services: Services,
    score: Annotated[float, Form(ge=0, le=1)],
    version: Annotated[int, Form(ge=0, lt=2**31)] = 0,
) -> Response:
    """Record how good a document is."""
    await services.workflows.RateDeliverable(
        pb.RateDeliverableRequest(export_workflow_id=workflow_id, version=version, score=score)
    )
    return _to(request, f"/exports/{workflow_id}")


@router.get("/{workflow_id}/comparison")
async def compare(
    workflow_id: Id,
    request: Request,
    staff: Staff,
    services: Services,
    before: Version = 0,
    after: Version = 0,
) -> Response:
    """Show two versions of the data side by side."""
    asked = pb.CompareVersionsRequest(
        export_workflow_id=workflow_id, from_version=before, to_version=after
    )
    found = plain_message(await services.workflows.CompareVersions(asked))
    return pages_of(request).page(
        request,
        "exports/comparison.html",
        workflow_id=workflow_id,
        versions=[(before, found["from_data"]), (after, found["to_data"])],
        changes=differences_of(found.get("changes", [])),
        unchanged=found.get("unchanged_share"),
        as_json=lambda value: json.dumps(value, ensure_ascii=False, indent=2),
    )


@router.get("/{workflow_id}/documents/{version}")
async def file(workflow_id: Id, version: Number, staff: Staff, services: Services) -> Response:
    """Send a document."""
    return (await workflows.open_file(services, workflow_id, version)).response()


@router.get("/{workflow_id}/documents/{version}/preview")
async def preview(workflow_id: Id, version: Number, staff: Staff, services: Services) -> Response:
    """Send the beginning of a document for the frame on its page, where nothing in it acts."""
    opened = await workflows.open_file(services, workflow_id, version)
    form = opened.deliverable.file_format
    headers = {**HEADERS, "content-security-policy": PREVIEW_POLICY}
    if form not in SHOWN_FORMATS:
        opened.close()
        return Response(status_code=204, headers=headers)
    content = b""
    async for data in opened.bytes():
        content += data
        if form != "html" and len(content) > PREVIEW_BYTES:
            opened.close()
            break
    kind = "text/html" if form == "html" else "text/plain"
    return Response(content, headers=headers, media_type=f"{kind}; charset=utf-8")


async def _source(
    form: FormData, services: Neighbours, language: str
) -> pb.StartExportWorkflowRequest:
    """Read what the data are taken from.

    Raises:
        InvalidArgumentError: SOURCE_MISSING, DOCUMENT_INVALID or DOCUMENT_TOO_LARGE.
    """
    chosen = _text(form, "language")
    request = pb.StartExportWorkflowRequest(language=chosen if chosen in LANGUAGES else language)
    if execution_id := _text(form, "execution_id"):
        request.execution_id = execution_id[:64]
    elif "document" in form or "file" in form:
        request.document.CopyFrom(exports.document_of(await _document(form)))
    else:
        request.selection.CopyFrom(await Facets.of(form).selection(services))
    return request


async def _document(form: FormData) -> exports.Document:
    text = _text(form, "document")
    given = form.get("file")
    if isinstance(given, UploadFile) and given.filename:
        content = await given.read(workflows.DATA_BYTES + 1)
        text = content.decode(errors="replace")
    if len(text) > workflows.DATA_BYTES:
        raise InvalidArgumentError(
            "DOCUMENT_TOO_LARGE", "The data may take 1 MiB.", field="document"
        )
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidArgumentError(
            "DOCUMENT_INVALID", "This is no JSON.", field="document"
        ) from None
    kind = _text(form, "document_type")[:128] or "document"
    return exports.Document.model_validate({"document_type": kind, "data": data})


def _preferences(form: FormData, *, is_complete: bool) -> ExportPreferences:
    """Read what a document should be.

    Raises:
        InvalidArgumentError: TEMPLATE_MISSING or FORMAT_MISSING: none was chosen.
    """
    template, kind = _text(form, "template"), _text(form, "format")
    if template not in workflows.TEMPLATES and (template or is_complete):
        raise InvalidArgumentError("TEMPLATE_MISSING", "Choose a kind of document.")
    if kind not in workflows.FORMATS and (kind or is_complete):
        raise InvalidArgumentError("FORMAT_MISSING", "Choose a form of file.")
    return ExportPreferences(
        document_template=template,
        export_format=kind,
        transformation_instructions=_text(form, "instructions")[: workflows.INSTRUCTIONS],
    )


def _base_version(form: FormData, newest: int) -> int:
    told = _text(form, "base_version")
    is_number = told.isascii() and told.isdigit() and len(told) < 9
    return min(int(told), newest) if is_number else newest


def _seconds(form: FormData) -> float | None:
    told = _text(form, "editing_seconds")
    try:
        seconds = float(told)
    except ValueError:
        return None
    return min(seconds, 86_400.0) if seconds > 0 else None


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def _texts(form: FormData) -> list[tuple[str, str]]:
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]


def _works(request: Request) -> Works:
    found: Works = request.app.state.works
    return found


def _waiting(request: Request, work: Work) -> Response:
    return _to(request, f"/exports/works/{work.work_id}")


def _to(request: Request, address: str) -> Response:
    if "hx-request" in request.headers:
        return Response(headers={"hx-redirect": address})
    return RedirectResponse(address, 303)

"""Taking executions out: the file is built while its page says how far it is, then fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from gateway.exports import FORMATS, open_export, reopen_export
from gateway.identity import Staff
from gateway.pages.rendering import pages_of
from gateway.pages.research_facets import Facets
from gateway.pages.works import Work, Works
from gateway.routes.answers import Id, Services
from servicekit.errors import FailedPreconditionError, InvalidArgumentError
from stellwerk.tracker.v1 import export_service_pb2 as export_pb

if TYPE_CHECKING:
    from starlette.datastructures import FormData

    from gateway.neighbours import Neighbours

router = APIRouter(prefix="/research/exports", include_in_schema=False)

OPTIONS = ("pseudonymise", "drop_media", "drop_text")


@dataclass(frozen=True)
class Built:
    """A file that the tracker has built and keeps for some minutes.

    Attributes:
        request: What it was asked by.
        first: Its first piece, with its name and size.
    """

    request: export_pb.ExportExecutionsRequest
    first: export_pb.ExportExecutionsResponse


@router.post("")
async def begin(request: Request, staff: Staff, services: Services) -> Response:
    """Begin to build a file."""
    form = await request.form()
    wanted = await _wanted(form, services)

    async def build(work: Work) -> Built:
        def told(count: int) -> None:
            work.done_count = count

        opened = await open_export(services, wanted, told)
        opened.close()
        return Built(wanted, opened.first)

    work = await works_of(request).begin(staff, build)
    address = f"/research/exports/{work.work_id}"
    if "hx-request" in request.headers:
        return pages_of(request).page(request, "research/_export.html", work=work)
    return RedirectResponse(address, 303)


@router.get("/{work_id}")
async def progress(request: Request, work_id: Id, staff: Staff) -> Response:
    """Tell how far a file is."""
    work = works_of(request).find(work_id, staff)
    part = "hx-request" in request.headers
    template = "research/_export.html" if part else "research/export.html"
    return pages_of(request).page(request, template, work=work)


@router.get("/{work_id}/file")
async def file(request: Request, work_id: Id, staff: Staff, services: Services) -> Response:
    """Send a file."""
    built = works_of(request).find(work_id, staff).outcome
    if not isinstance(built, Built):
        raise FailedPreconditionError("EXPORT_NOT_READY", "The file is not ready.")
    return (await reopen_export(services, built.request, built.first)).response()


def works_of(request: Request) -> Works:
    """Return the works of this app."""
    found: Works = request.app.state.works
    return found


async def _wanted(form: FormData, services: Neighbours) -> export_pb.ExportExecutionsRequest:
    word = form.get("format")
    if not isinstance(word, str) or word not in FORMATS:
        raise InvalidArgumentError("FORMAT_UNKNOWN", "Choose a format.", field="format")
    options = {name: bool(form.get(name)) for name in OPTIONS}
    if isinstance(one := form.get("execution_id"), str) and one:
        request = await Facets().export_request(services, word, **options)
        request.execution_ids.append(one[:64])
        return request
    return await Facets.of(form).export_request(services, word, **options)

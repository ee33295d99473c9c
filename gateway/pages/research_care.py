"""Looking after records: bringing them in, verifying them, erasing what a person made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote

import grpc
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import UploadFile

from gateway.exports import EXPORT_SECONDS
from gateway.identity import Staff, staff_who_may
from gateway.imports import import_parts, pieces_of
from gateway.pages.rendering import pages_of
from gateway.pages.research_exports import works_of
from gateway.routes.answers import Id, Services
from gateway.routes.research import ERASE_SECONDS
from servicekit.errors import InvalidArgumentError
from servicekit.plain import enum_word, plain_message
from servicekit.principals import Principal
from stellwerk.tracker.v1 import export_service_pb2 as export_pb
from stellwerk.tracker.v1 import tracker_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.neighbours import Neighbours
    from gateway.pages.works import Work

router = APIRouter(prefix="/research", include_in_schema=False)

Importer = Annotated[Principal, staff_who_may("ImportExecutions")]
Verifier = Annotated[Principal, staff_who_may("VerifyChain")]
Eraser = Annotated[Principal, staff_who_may("EraseUser")]

IMPORT_PATH = "/research/import"
AT_ONCE = 8
"""Records that are verified at the same time; each is some milliseconds of the tracker."""
MOST_BROKEN = 100
_BATCH = 500


@dataclass
class Verified:
    """What became of a look at all records.

    Attributes:
        valid_count: Records that are as they were stored.
        broken: Ids and faults of the others, the first 100.
        broken_count: How many they are.
    """

    valid_count: int = 0
    broken: list[tuple[str, str]] = field(default_factory=list)
    broken_count: int = 0

    def add(self, execution_id: str, state: str) -> None:
        """Count a record."""
        if state == "valid":
            self.valid_count += 1
            return
        self.broken_count += 1
        if len(self.broken) < MOST_BROKEN:
            self.broken.append((execution_id, state))


@router.get("/import")
async def import_page(request: Request, staff: Importer) -> Response:
    """Ask for a file."""
    return pages_of(request).page(request, "research/import.html", report=None)


@router.post("/import")
async def import_(
    request: Request,
    staff: Importer,
    services: Services,
    dry_run: Annotated[bool, Query()] = False,
    x_filename: Annotated[str, Header(max_length=600)] = "",
) -> Response:
    """Bring records in: as a form, or as the file itself, which may be as large as it likes."""
    filename = unquote(x_filename)[:200]
    body: AsyncIterator[bytes] = request.stream()
    if request.headers.get("content-type", "").startswith("multipart/"):
        form = await request.form()
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise InvalidArgumentError("FILE_EMPTY", "Choose a file first.", field="file")
        filename, dry_run, body = file.filename[:200], bool(form.get("dry_run")), pieces_of(file)
    header = export_pb.ImportExecutionsHeader(filename=filename, dry_run=dry_run)
    report = await services.export.ImportExecutions(
        import_parts(header, body), timeout=EXPORT_SECONDS
    )
    is_part = "hx-request" in request.headers
    return pages_of(request).page(
        request,
        "research/_report.html" if is_part else "research/import.html",
        report=plain_message(report),
    )


@router.get("/care")
async def care(request: Request, staff: Staff) -> Response:
    """Offer to verify everything and to erase somebody's content."""
    return pages_of(request).page(request, "research/care.html", **_EMPTY)


@router.post("/executions/{execution_id}/verify")
async def verify_one(
    request: Request, execution_id: Id, staff: Staff, services: Services
) -> Response:
    """Verify a record."""
    found = await services.tracker.VerifyChain(pb.VerifyChainRequest(execution_id=execution_id))
    is_part = "hx-request" in request.headers
    template = "research/_chain.html" if is_part else "research/chain.html"
    return pages_of(request).page(request, template, chain=plain_message(found))


@router.post("/verify")
async def verify_all(request: Request, staff: Verifier, services: Services) -> Response:
    """Begin to verify all records that the person may see."""
    work = await works_of(request).begin(staff, lambda work: _verified(services, work))
    if "hx-request" in request.headers:
        return pages_of(request).page(request, "research/_verified.html", work=work)
    return RedirectResponse(f"/research/verify/{work.work_id}", 303)


@router.get("/verify/{work_id}")
async def verify_progress(request: Request, work_id: Id, staff: Verifier) -> Response:
    """Tell how far it is."""
    work = works_of(request).find(work_id, staff)
    if "hx-request" in request.headers:
        return pages_of(request).page(request, "research/_verified.html", work=work)
    return pages_of(request).page(request, "research/care.html", **{**_EMPTY, "work": work})


@router.post("/erase")
async def erase(request: Request, staff: Eraser, services: Services) -> Response:
    """Erase what a person made: first say what it is, then do it when the name is typed again."""
    form = await request.form()
    user_id = str(form.get("user_id") or "").strip()[:64]
    again = str(form.get("again") or "").strip()
    if not user_id:
        raise InvalidArgumentError("INVALID_ID", "Name the pseudonym.", field="user_id")
    if "again" in form and again == user_id:
        done = await services.tracker.EraseUser(
            pb.EraseUserRequest(user_id=user_id), timeout=ERASE_SECONDS
        )
        return RedirectResponse(f"/research/erasures/{done.receipt.receipt_id}", 303)
    asked = pb.ListExecutionsRequest(user_id=user_id, page_size=1000)
    found = await services.tracker.ListExecutions(asked)
    doubt = {
        "user_id": user_id,
        "count": len(found.executions),
        "has_more": bool(found.next_page_token),
        "differs": "again" in form,
    }
    return pages_of(request).page(request, "research/care.html", **{**_EMPTY, "doubt": doubt})


@router.get("/erasures/{receipt_id}")
async def receipt(request: Request, receipt_id: Id, staff: Staff, services: Services) -> Response:
    """Show a receipt as it is now."""
    found = await services.tracker.GetErasure(pb.GetErasureRequest(receipt_id=receipt_id))
    is_part = "hx-request" in request.headers
    template = "research/_receipt.html" if is_part else "research/receipt.html"
    return pages_of(request).page(request, template, receipt=plain_message(found.receipt))


_EMPTY: dict[str, Any] = {"work": None, "doubt": None}


async def _verified(services: Neighbours, work: Work) -> Verified:
    usage = await services.tracker.ListConfigUsage(pb.ListConfigUsageRequest())
    work.total_count = sum(each.execution_count for each in usage.configs)
    verified = Verified()
    token = ""
    while True:
        page = await services.tracker.ListExecutions(
            pb.ListExecutionsRequest(page_size=_BATCH, page_token=token)
        )
        ids = [each.execution_id for each in page.executions]
        for begin in range(0, len(ids), AT_ONCE):
            some = ids[begin : begin + AT_ONCE]
            for execution_id, state in await asyncio.gather(
                *(_state(services, each) for each in some)
            ):
                if state:
                    verified.add(execution_id, state)
            work.done_count += len(some)
        token = page.next_page_token
        if not token:
            return verified


async def _state(services: Neighbours, execution_id: str) -> tuple[str, str]:
    """Verify a record; an empty state: it is gone meanwhile."""
    try:
        found = await services.tracker.VerifyChain(pb.VerifyChainRequest(execution_id=execution_id))
    except grpc.aio.AioRpcError as exc:
        if exc.code() is grpc.StatusCode.NOT_FOUND:
            return execution_id, ""
        raise
    return execution_id, enum_word(pb.ChainState.DESCRIPTOR, found.state)

"""Looking closely at an execution: as a learner, as somebody who knows more, as a researcher."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from fastapi import APIRouter, Query, Request, Response

from gateway.identity import Person, Staff
from gateway.pages.choices import choices_of
from gateway.pages.look_view import VIEWS, LookView, as_json
from gateway.pages.moment import present_moment
from gateway.pages.provenance import HEIGHT, WIDTH, graph
from gateway.pages.rendering import pages_of
from gateway.pages.timeline import bars
from gateway.routes import media, research
from gateway.routes.answers import Id, Services
from servicekit.plain import plain_message
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb

if TYPE_CHECKING:
    from gateway.neighbours import Neighbours

router = APIRouter(include_in_schema=False)

View = Annotated[Literal["learner", "advanced", "researcher"] | None, Query()]
FORMATS = get_args(research.Format)


@router.get("/look/{execution_id}")
async def look(
    execution_id: Id, request: Request, person: Person, services: Services, view: View = None
) -> Response:
    """Show a person's own execution; what they may not see stays out."""
    moment = await present_moment(services, execution_id)
    found = LookView(moment.execution, moment.items)
    return await _page(request, services, found, view or "learner", base="/look", files="/api")


@router.get("/research/look/{execution_id}")
async def look_as_staff(
    execution_id: Id, request: Request, staff: Staff, services: Services, view: View = None
) -> Response:
    """Show anybody's execution, as the record has it."""
    answer = await services.tracker.GetExecution(
        tracker_pb.GetExecutionRequest(execution_id=execution_id)
    )
    record = plain_message(answer.record)
    found = LookView(record["summary"], record.get("items", []))
    return await _page(
        request, services, found, view or "researcher", base="/research/look", files="/research"
    )


@router.get("/research/executions/{execution_id}/items/{item_id}/media")
async def media_as_staff(
    execution_id: Id,
    item_id: Id,
    request: Request,
    staff: Staff,
    services: Services,
    thumbnail: media.Thumbnail = 0,
    wanted: media.RangeHeader = None,
    known: media.Match = None,
) -> Response:
    """Send a file of anybody's execution."""
    return await media.of_item(
        request, execution_id, item_id, staff, services, thumbnail, wanted, known
    )


@router.get("/research/look/{execution_id}/export")
async def export(
    execution_id: Id, staff: Staff, services: Services, format: research.Format = "json"
) -> Response:
    """Send one execution as a file."""
    wanted = research.Export(format=format, execution_ids=[execution_id])
    return await research.export(wanted, staff, services)


async def _page(
    request: Request, services: Neighbours, found: LookView, view: str, *, base: str, files: str
) -> Response:
    choices = await choices_of(services)
    shown, total = await asyncio.to_thread(bars, found.items)
    return pages_of(request).page(
        request,
        "look.html",
        look=found,
        view=view,
        views=VIEWS,
        names=choices.names(),
        runners=choices.runners(),
        base=base,
        files=f"{files}/executions/{found.id}/items/",
        bars=shown,
        total=total,
        graph=graph(found.items),
        node_width=WIDTH,
        node_height=HEIGHT,
        formats=FORMATS,
        as_json=as_json,
    )

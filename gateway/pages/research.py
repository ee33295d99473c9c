"""Finding records: a search with facets, sessions, and what was found in pages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from gateway.exports import FORMATS
from gateway.identity import Staff
from gateway.pages.rendering import pages_of
from gateway.pages.research_facets import LEVELS, PAGE_ROWS, STATES, Facets
from gateway.routes.answers import Id, Services
from servicekit.plain import plain_message
from stellwerk.tracker.v1 import tracker_service_pb2 as pb

if TYPE_CHECKING:
    from gateway.neighbours import Neighbours

router = APIRouter(prefix="/research", include_in_schema=False)

MOST_STEPS_BACK = 200
PageToken = Annotated[str, Query(max_length=400)]


@router.get("")
async def overview(request: Request, staff: Staff, services: Services) -> Response:
    """Show the search with the latest executions."""
    return await _search_page(request, services, Facets(), [])


@router.post("")
async def search(request: Request, staff: Staff, services: Services) -> Response:
    """Show what matches: a page of its own, or its part of the page."""
    form = await request.form()
    facets = Facets.of(form)
    trail = [token for token in form.getlist("trail") if isinstance(token, str)][:MOST_STEPS_BACK]
    if form.get("back"):
        trail = trail[:-1]
    elif isinstance(token := form.get("next"), str) and token:
        trail = [*trail, token]
    if "hx-request" in request.headers:
        found = await _found(services, facets, trail)
        return pages_of(request).page(request, "research/_results.html", **found)
    return await _search_page(request, services, facets, trail)


@router.get("/sessions")
async def sessions(
    request: Request, staff: Staff, services: Services, page_token: PageToken = ""
) -> Response:
    """List sessions, the one with the latest execution first."""
    asked = pb.ListSessionsRequest(page_size=PAGE_ROWS, page_token=page_token)
    found = plain_message(await services.tracker.ListSessions(asked))
    return pages_of(request).page(
        request,
        "research/sessions.html",
        sessions=found.get("sessions", []),
        next_page_token=found.get("next_page_token", ""),
        page_token=page_token,
    )


@router.get("/sessions/{session_id}")
async def session(request: Request, session_id: Id, staff: Staff, services: Services) -> Response:
    """Show a session with its executions."""
    found = plain_message(
        await services.tracker.GetSession(pb.GetSessionRequest(session_id=session_id))
    )
    return pages_of(request).page(
        request,
        "research/session.html",
        session=found["session"],
        executions=found.get("executions", []),
    )


async def _search_page(
    request: Request, services: Neighbours, facets: Facets, trail: list[str]
) -> Response:
    usage, found = await asyncio.gather(
        services.tracker.ListConfigUsage(pb.ListConfigUsageRequest()),
        _found(services, facets, trail),
    )
    configs = sorted((each.config_name, each.execution_count) for each in usage.configs)
    return pages_of(request).page(
        request,
        "research/search.html",
        configs=configs,
        all_states=STATES,
        all_levels=LEVELS,
        **found,
    )


async def _found(services: Neighbours, facets: Facets, trail: list[str]) -> dict[str, Any]:
    """What a page of results shows; `trail` are the tokens that led to it."""
    token = trail[-1] if trail else ""
    page = plain_message(
        await services.tracker.ListExecutions(facets.list_request(token, PAGE_ROWS))
    )
    return {
        "facets": facets,
        "executions": page.get("executions", []),
        "next_page_token": page.get("next_page_token", ""),
        "trail": trail,
        "formats": FORMATS,
    }

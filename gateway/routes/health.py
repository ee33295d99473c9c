"""Whether the gateway is alive, whether it may take requests, and what it counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from gateway.identity import Staff
from gateway.problems import documented
from servicekit.exposition import CONTENT_TYPE

if TYPE_CHECKING:
    from servicekit.metrics import Meter

router = APIRouter(tags=["health"])


@router.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """Alive."""
    return "ok\n"


@router.get(
    "/readyz",
    response_class=PlainTextResponse,
    responses={503: {"description": "It stops.", "content": {"text/plain": {}}}},
)
async def readyz(request: Request) -> PlainTextResponse:
    """Ready, until it is told to stop. A neighbour that is away is no reason."""
    ready = not request.app.state.stopping.is_set()
    return PlainTextResponse("ok\n" if ready else "stopping\n", 200 if ready else 503)


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses=documented(401, 403),
)
async def metrics(request: Request, _: Staff) -> Response:
    """Numbers in Prometheus' text format; a scraper shows an API key that is no learner's."""
    meter: Meter = request.app.state.meter
    return Response(await asyncio.to_thread(meter.text), media_type=CONTENT_TYPE)

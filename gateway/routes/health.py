"""Whether the gateway is alive, and whether it may take requests."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

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

"""Programs that a model wrote, as documents for a frame out of which nothing can get.

Whatever a program tries, it has nothing and reaches nothing: the frame has an origin of its own,
so neither cookies nor the page around it, and its policy names by their hashes the three scripts
that may run and allows no request. So the library comes in the same document as the program.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import re
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from gateway.identity import Person, Staff
from gateway.pages.assets import Assets
from gateway.pages.choices import RUNNERS, choices_of
from gateway.pages.moment import present_moment
from gateway.pages.rendering import HEADERS, pages_of
from gateway.routes.answers import Id, Services
from servicekit.errors import NotFoundError, PermissionDeniedError
from servicekit.plain import plain_message
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb

if TYPE_CHECKING:
    from typing import Any

    from gateway.neighbours import Neighbours

    Json = dict[str, Any]

router = APIRouter(include_in_schema=False)

LIBRARIES = dict(zip(RUNNERS, ("vendor/p5-1.11.13.min.js", "vendor/tone-15.1.22.js"), strict=True))
_FRAME = "program.js"
_ENDS_SCRIPT = re.compile(r"<(?=/script|!--)", re.IGNORECASE)
_NOT_IN_FRAMES = ("camera", "microphone", "geolocation", "midi", "usb", "display-capture", "hid")


@router.get("/look/{execution_id}/programs/{item_id}")
async def program(
    execution_id: Id, item_id: Id, request: Request, person: Person, services: Services
) -> Response:
    """Send a person's own program."""
    moment = await present_moment(services, execution_id)
    return await _document(request, services, moment.items, item_id)


@router.get("/research/look/{execution_id}/programs/{item_id}")
async def program_as_staff(
    execution_id: Id, item_id: Id, request: Request, staff: Staff, services: Services
) -> Response:
    """Send anybody's program."""
    answer = await services.tracker.GetExecution(
        tracker_pb.GetExecutionRequest(execution_id=execution_id)
    )
    items = plain_message(answer.record).get("items", [])
    return await _document(request, services, items, item_id)


async def _document(
    request: Request, services: Neighbours, items: list[Json], item_id: str
) -> Response:
    """Send the document of a program.

    Raises:
        PermissionDeniedError: FRAME_ONLY: outside a frame, where it could lead its tab elsewhere.
        NotFoundError: PROGRAM_NOT_FOUND: there is none, or none that can be run.
    """
    if request.headers.get("sec-fetch-dest", "iframe") != "iframe":
        raise PermissionDeniedError("FRAME_ONLY", "Programs run on the page of their execution.")
    item = next((item for item in items if item["item_id"] == item_id), {})
    runners = (await choices_of(services)).runners()
    library = LIBRARIES.get(runners.get(item.get("config_used", ""), ""))
    code = item.get("content")
    if not code or item["item_type"] != "output_code" or library is None:
        raise NotFoundError("PROGRAM_NOT_FOUND", "There is no program here that can be run.")
    assets: Assets = request.app.state.assets
    scripts = [assets.text(library), assets.text(_FRAME), safe_in_html(code)]
    library_text, frame, program_text = (Markup(script) for script in scripts)
    page = pages_of(request).page(
        request, "program.html", library=library_text, frame=frame, code=program_text
    )
    headers = {
        **HEADERS,
        "content-security-policy": policy(scripts),
        "permissions-policy": ", ".join(f"{name}=()" for name in _NOT_IN_FRAMES),
        "x-dns-prefetch-control": "off",
        "content-encoding": "gzip",
    }
    content = await asyncio.to_thread(gzip.compress, bytes(page.body), 4)
    return Response(content, headers=headers, media_type="text/html")


def policy(scripts: list[str]) -> str:
    """Return the policy under which just these scripts run, and nothing is asked for."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in scripts)
    return "; ".join(
        (
            "default-src 'none'",
            "script-src " + " ".join(f"'sha256-{digest.decode()}'" for digest in hashes),
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "worker-src blob:",  # Tone.js keeps time in one; it has this policy, too
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'self'",
            "sandbox allow-scripts",
        )
    )


def safe_in_html(code: str) -> str:
    """Return code that says the same and does not end the element that holds it."""
    lines = code.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return _ENDS_SCRIPT.sub(r"<\\", lines)

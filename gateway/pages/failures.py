"""Failures as people see them: a page, or a notice on the page that they are on."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fastapi.responses import RedirectResponse, Response

from gateway.pages.rendering import pages_of
from gateway.problems import Problem

if TYPE_CHECKING:
    from fastapi import Request

_PROGRAMS = ("/api/", "/static/", "/healthz", "/readyz", "/metrics")


def page_of(request: Request, problem: Problem) -> Response | None:
    """Return what a person sees of a problem; None: a program asked."""
    if request.url.path.startswith(_PROGRAMS):
        return None
    is_part = "hx-request" in request.headers
    if problem.reason == "LOGIN_NEEDED":
        return _to_login(request, is_part=is_part)
    template = "_notice.html" if is_part else "failure.html"
    response = pages_of(request).page(request, template, status=problem.status, problem=problem)
    if is_part:
        response.headers["hx-retarget"] = "#notice"
        response.headers["hx-reswap"] = "innerHTML"
    return response


def _to_login(request: Request, *, is_part: bool) -> Response:
    back = request.url.path if request.method == "GET" else "/"
    address = f"/login?{urlencode({'back': back})}"
    if is_part:
        return Response(headers={"hx-redirect": address})
    return RedirectResponse(address, 303)

"""Coming in with an API key, leaving, and choosing a language."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from gateway.identity import Identity
from gateway.pages.language import choose_language
from gateway.pages.rendering import pages_of
from servicekit.errors import UnauthenticatedError

router = APIRouter(include_in_schema=False)

Back = Annotated[str, Form(max_length=500)]


@router.get("/login")
async def login(request: Request, back: str = "/") -> Response:
    """Ask for a key."""
    return pages_of(request).page(request, "login.html", back=local_path(back), refused=False)


@router.post("/login")
async def log_in(
    request: Request, api_key: Annotated[str, Form(max_length=500)], back: Back = "/"
) -> Response:
    """Let somebody in, or ask once more."""
    identity: Identity = request.app.state.identity
    back = local_path(back)
    try:
        await identity.log_in(request, api_key.strip())
    except UnauthenticatedError:
        return pages_of(request).page(request, "login.html", status=403, back=back, refused=True)
    return RedirectResponse(back, 303)


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """Forget who logged in."""
    identity: Identity = request.app.state.identity
    identity.log_out(request)
    return RedirectResponse("/", 303)


@router.post("/language")
async def language(
    request: Request, language: Annotated[str, Form(max_length=8)], back: Back = "/"
) -> Response:
    """Show the pages in another language from now on."""
    choose_language(request, language)
    return RedirectResponse(local_path(back), 303)


def local_path(path: str) -> str:
    """Return a path of this site; anything else, such as another site, becomes the first page."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_local and path.isprintable() else "/"

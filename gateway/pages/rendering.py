"""Turns templates into pages: with the words of the person's language and who they are."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from gateway.pages.assets import Assets
from gateway.pages.language import LANGUAGES, Catalogue, language_of, localised
from servicekit.principals import Role

if TYPE_CHECKING:
    from fastapi import Request

    from gateway.identity import Identity
    from gateway.rights import Rights

HEADERS = {
    # What a person wrote must not stay behind on a shared tablet.
    "cache-control": "private, no-store",
    "vary": "Accept-Language, Cookie",
}


class Pages:
    """Makes pages and parts of them."""

    def __init__(self, assets: Assets, identity: Identity, rights: Rights) -> None:
        """Take what every page needs."""
        self.catalogue = Catalogue()
        self._identity = identity
        self._rights = rights
        self._templates = Environment(
            loader=PackageLoader("gateway"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(asset=assets.address, languages=LANGUAGES)
        self._templates.filters.update(
            seconds=seconds, when=when, size=size, split_lines=str.splitlines
        )

    def page(
        self, request: Request, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Make a page, or a part of one.

        Args:
            request: Whose page it is.
            template: Its file.
            status: The HTTP status.
            values: What the template shows beside what every page has: `t`, `has_text`, `local`,
                `language`, `path`, `viewer` (None: a learner), `may` (an RPC) and `is_open`.
        """
        language = language_of(request)
        viewer = self._identity.viewer(request)
        content = self._templates.get_template(template).render(
            t=partial(self.catalogue.text, language),
            has_text=self.catalogue.has,
            local=partial(localised, language=language),
            language=language,
            path=request.url.path,
            viewer=viewer,
            may=partial(self._rights.may, viewer.role if viewer else Role.LEARNER),
            is_open=self._identity.is_open,
            **values,
        )
        return HTMLResponse(content, status, HEADERS)


def pages_of(request: Request) -> Pages:
    """Return what makes the pages of this app."""
    found: Pages = request.app.state.pages
    return found


def seconds(value: float) -> str:
    """Write a time: `0.4 s`, `12 s`, `3 min 20 s`."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def when(value: str) -> str:
    """Write a time of a service, RFC 3339, for people: `2026-11-20 09:41 UTC`."""
    return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M} UTC" if value else ""


def size(value: float) -> str:
    """Write a number of bytes: `312 B`, `4.1 KB`, `2.0 MB`."""
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"

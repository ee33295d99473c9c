"""Adds the pages to the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.pages import (
    assets,
    doors,
    exports,
    look,
    make,
    programs,
    research,
    research_care,
    research_charts,
    research_exports,
    workshop,
)
from gateway.pages.assets import Assets
from gateway.pages.rendering import Pages

if TYPE_CHECKING:
    from fastapi import FastAPI

    from gateway.identity import Identity
    from gateway.rights import Rights

ROUTERS = (
    assets.router,
    doors.router,
    make.router,
    look.router,
    programs.router,
    research.router,
    research_care.router,
    research_charts.router,
    research_exports.router,
    exports.router,
    workshop.router,
)


def add_pages(app: FastAPI, identity: Identity, rights: Rights) -> None:
    """Let an app serve the pages, too."""
    app.state.assets = Assets()
    app.state.pages = Pages(app.state.assets, identity, rights)
    for router in ROUTERS:
        app.include_router(router)

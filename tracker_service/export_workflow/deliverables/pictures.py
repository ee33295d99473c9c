"""The pictures of a document: fetched before it is made, and made small enough for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracker_service.export.typesetting import draw
from tracker_service.items import MediaRef

if TYPE_CHECKING:
    from pathlib import Path

    from tracker_service.export.building import MediaReader
    from tracker_service.export_workflow.deliverables.model import Document

FOLDER: Final = "pictures"
MANY: Final = 40
"""Pictures from which on each is smaller, so that a class's work still fits into a mail."""
LONGER_SIDE: Final = 900
"""Pixels of a picture in a document: 270 dpi over its 84 mm."""
SMALLER_SIDE: Final = 600


async def fetch_pictures(document: Document, media: MediaReader, folder: Path) -> None:
    """Put the pictures of a document into `folder/pictures`; those that are gone are left out.

    Raises:
        OSError: The disk is full.
        UnavailableError: MEDIA_UNAVAILABLE.
    """
    for picture in document.pictures():
        path = folder / FOLDER / f"{picture.sha256}.jpg.raw"
        ref = MediaRef("", picture.sha256, 0, picture.mime_type, picture.name)
        if not await media.save(ref, path):
            path.unlink(missing_ok=True)


def drawn_pictures(folder: Path) -> dict[str, Path]:
    """Make fetched pictures into JPEG files and return these by the SHA-256 of the kept ones."""
    drawn = {}
    kept = sorted((folder / FOLDER).glob("*.raw"))
    longer_side = LONGER_SIDE if len(kept) <= MANY else SMALLER_SIDE
    for raw in kept:
        if draw(raw, longer_side):
            drawn[raw.name.partition(".")[0]] = raw.with_suffix("")
        raw.unlink()
    return drawn

"""From a document to a file: pictures fetched, a process made, its time limited."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from servicekit.errors import DeadlineExceededError, InternalError
from tracker_service.export_workflow.deliverables.naming import filename_of
from tracker_service.export_workflow.deliverables.pictures import FOLDER, fetch_pictures
from tracker_service.export_workflow.deliverables.process import DOCUMENT

if TYPE_CHECKING:
    from pathlib import Path

    from tracker_service.export.building import MediaReader
    from tracker_service.export_workflow.deliverables.formats import DeliverableFormat
    from tracker_service.export_workflow.deliverables.model import Document

_PROCESS: Final = "tracker_service.export_workflow.deliverables.process"


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file that was made.

    Attributes:
        path: Where it is.
        filename: A name for people; safe on every system.
        mime_type: Without a character set.
        size_bytes: Its size.
        sha256: Of its bytes, 64 hexadecimal digits.
    """

    path: Path
    filename: str
    mime_type: str
    size_bytes: int
    sha256: str


class Renderer:
    """Makes files of documents, a few at a time."""

    def __init__(self, media: MediaReader, *, seconds: float = 120.0, at_once: int = 2) -> None:
        """Take what it works with.

        Args:
            media: Reads pictures.
            seconds: Longest time of one file, without the waiting for a place.
            at_once: Files that are made at the same time; others wait.
        """
        self._media = media
        self._seconds = seconds
        self._places = asyncio.Semaphore(at_once)

    async def render(
        self, document: Document, form: DeliverableFormat, folder: Path
    ) -> RenderedFile:
        """Make a file; the same document in the same format gives the same bytes.

        Args:
            document: What it says.
            form: The format.
            folder: Empty, for this file alone, removed by the caller; helping files lie there.

        Raises:
            InternalError: RENDERING_FAILED.
            DeadlineExceededError: RENDERING_TIMEOUT.
            UnavailableError: MEDIA_UNAVAILABLE: pictures cannot be had now.
            OSError: The disk is full.
        """
        target = folder / f"deliverable{form.suffix}"
        async with self._places:
            try:
                async with asyncio.timeout(self._seconds):
                    await asyncio.to_thread(_prepare, document, folder)
                    if form.holds_pictures:
                        await fetch_pictures(document, self._media, folder)
                    await _make(folder, form, target)
            except TimeoutError as exc:
                raise DeadlineExceededError(
                    "RENDERING_TIMEOUT",
                    "The file could not be made in time; choose less, or another format.",
                ) from exc
            return await asyncio.to_thread(_described, document, form, target)


def _prepare(document: Document, folder: Path) -> None:
    (folder / FOLDER).mkdir()
    (folder / DOCUMENT).write_text(document.model_dump_json(), encoding="utf-8")


async def _make(folder: Path, form: DeliverableFormat, target: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", _PROCESS, str(folder), form.value, str(target)),
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        code = await process.wait()
    except BaseException:  # cancelled, or out of time: what is not wanted shall not work on
        process.kill()
        await process.wait()
        raise
    if code != 0:
        raise InternalError("RENDERING_FAILED", "The file could not be made.")


def _described(document: Document, form: DeliverableFormat, target: Path) -> RenderedFile:
    with target.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return RenderedFile(
        path=target,
        filename=filename_of(document, form),
        mime_type=form.mime_type,
        size_bytes=target.stat().st_size,
        sha256=sha256,
    )

"""Files are made by a process of its own, within limits."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from servicekit.errors import DeadlineExceededError, InternalError, UnavailableError
from tests.unit.tracker_service.deliverables.made import KeptMedia, make_data, make_source
from tests.unit.tracker_service.deliverables.reading import missing_from, read
from tracker_service.export_workflow.deliverables.building import build
from tracker_service.export_workflow.deliverables.formats import DeliverableFormat
from tracker_service.export_workflow.deliverables.model import Template
from tracker_service.export_workflow.deliverables.rendering import Renderer

if TYPE_CHECKING:
    from pathlib import Path

    from tracker_service.items import MediaRef

MEDIA = KeptMedia()
DOCUMENT = build(make_source(make_data(MEDIA, count=2), Template.LEARNING_JOURNEY))


class AwayMedia:
    """A generation service that does not answer."""

    async def save(self, media: MediaRef, to: Path) -> bool:
        """See `MediaReader`."""
        raise UnavailableError("MEDIA_UNAVAILABLE", "The generation service does not answer.")


class SlowMedia:
    """One that never comes to an end."""

    async def save(self, media: MediaRef, to: Path) -> bool:
        """See `MediaReader`."""
        await asyncio.Event().wait()
        return False


async def test_a_file_is_made_and_described(tmp_path: Path) -> None:
    """Its name, type, size and hash are those of the bytes on the disk."""
    made = await Renderer(MEDIA).render(DOCUMENT, DeliverableFormat.DOCX, tmp_path)
    assert made.filename == "unsere-bilder-learning-journey-2025-10-09.docx"
    assert made.mime_type == DeliverableFormat.DOCX.mime_type
    data = await asyncio.to_thread(made.path.read_bytes)
    assert made.size_bytes == len(data)
    assert made.sha256 == hashlib.sha256(data).hexdigest()
    assert missing_from(read(made.path, DeliverableFormat.DOCX), DOCUMENT) == []


async def test_pictures_that_cannot_be_read_now_stop_the_file(tmp_path: Path) -> None:
    """A document that silently lacks its pictures would be wrong; the caller may try again."""
    with pytest.raises(UnavailableError) as failed:
        await Renderer(AwayMedia()).render(DOCUMENT, DeliverableFormat.PDF, tmp_path)
    assert failed.value.reason == "MEDIA_UNAVAILABLE"


async def test_what_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """The error says what to do."""
    with pytest.raises(DeadlineExceededError) as failed:
        await Renderer(SlowMedia(), seconds=0.01).render(DOCUMENT, DeliverableFormat.HTML, tmp_path)
    assert failed.value.reason == "RENDERING_TIMEOUT"


async def test_a_process_that_fails_is_told(tmp_path: Path) -> None:
    """Where its file cannot be written, there is an error and no file."""
    (tmp_path / "deliverable.json").mkdir()
    with pytest.raises(InternalError) as failed:
        await Renderer(MEDIA).render(DOCUMENT, DeliverableFormat.JSON, tmp_path)
    assert failed.value.reason == "RENDERING_FAILED"

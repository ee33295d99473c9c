"""Building a file from records, a handful at a time, so that memory does not grow with the file.

Reading and writing take turns: both are Python's work, and side by side they only fight for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from servicekit.errors import InvalidArgumentError
from tracker_service.export.writers import open_writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tracker_service.export.formats import ExportFormat
    from tracker_service.export.selection import Selection
    from tracker_service.export.shaping import Shaper
    from tracker_service.export.writers import ExportNote, RecordWriter
    from tracker_service.items import MediaRef
    from tracker_service.records import ExecutionRecord

HANDFUL_RECORDS: Final = 64
HANDFUL_TEXT: Final = 4 * 1024 * 1024
"""Code points of texts and metadata after which a handful is full, however few its records."""


class MediaReader(Protocol):
    """Reads media files."""

    async def save(self, media: MediaRef, to: Path) -> bool:
        """Write the bytes of a file.

        Args:
            media: Which.
            to: Where.

        Returns:
            Whether it is there and whole.

        Raises:
            OSError: It cannot be written.
            UnavailableError: MEDIA_UNAVAILABLE: those who keep it do not answer.
        """


@dataclass(slots=True)
class Progress:
    """How far a file is.

    Attributes:
        record_count: Records that are written.
    """

    record_count: int = 0


async def build_file(
    form: ExportFormat,
    records: AsyncIterator[ExecutionRecord],
    media: MediaReader,
    path: Path,
    note: ExportNote,
    progress: Progress,
) -> None:
    """Write a whole file.

    Args:
        form: Its format.
        records: What it holds.
        media: Reads the files that belong to it.
        path: Where; its folder is for this file alone.
        note: What it says about itself.
        progress: Moved along.

    Raises:
        InvalidArgumentError: TOO_MANY_RECORDS for this format.
        OSError: The disk is full.
    """
    writer = await asyncio.to_thread(open_writer, form, path, note)
    working: asyncio.Future[None] | None = None
    try:
        async for handful in _handfuls(records):
            await _fetch_media(writer, handful, media, path.with_name("media"))
            progress.record_count += len(handful)
            _check_count(form, progress.record_count)
            working = asyncio.ensure_future(asyncio.to_thread(writer.write, handful))
            await asyncio.shield(working)
        working = asyncio.ensure_future(asyncio.to_thread(writer.close))
        await asyncio.shield(working)
    finally:
        if working is not None:  # a cancelled export must not leave a thread at a closed file
            await asyncio.shield(asyncio.wait([working]))
        await asyncio.shield(asyncio.to_thread(writer.abandon))


def _check_count(form: ExportFormat, count: int) -> None:
    most = form.value.most_records
    if most and count > most:
        raise InvalidArgumentError(
            "TOO_MANY_RECORDS",
            f"This format holds {most} executions at most; name fewer, or take ZIP.",
            field="format",
        )


async def _handfuls(
    records: AsyncIterator[ExecutionRecord],
) -> AsyncIterator[list[ExecutionRecord]]:
    handful: list[ExecutionRecord] = []
    size = 0
    async for record in records:
        handful.append(record)
        size += sum(len(item.content or "") + len(item.metadata_json) for item in record.items)
        if len(handful) >= HANDFUL_RECORDS or size >= HANDFUL_TEXT:
            yield handful
            handful, size = [], 0
    if handful:
        yield handful


async def _fetch_media(
    writer: RecordWriter, records: list[ExecutionRecord], media: MediaReader, copy: Path
) -> None:
    for wanted in writer.wanted_media(records):
        found = await media.save(wanted, copy)
        await asyncio.to_thread(writer.add_media, wanted, copy if found else None)
        await asyncio.to_thread(copy.unlink, missing_ok=True)


async def shaped_records(
    selection: Selection, until: int, shaper: Shaper
) -> AsyncIterator[ExecutionRecord]:
    """Yield the records of an export as it shows them.

    Args:
        selection: Which they are.
        until: Key of the newest execution that belongs to the export.
        shaper: What is shown of them.
    """
    key = 0
    while (found := await selection.record_after(key, until)) is not None:
        key = found.key
        yield shaper.shaped(found.record)

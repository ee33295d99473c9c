"""Exports of every format: chunks of a file, each with a place to go on from.

JSON and JSON Lines are handed out while they are written, and can be resumed even after a restart
of the tracker. Every other format is built as a whole first, because its index, its compression
or its library wants that, and is then resumed by byte.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from servicekit.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
)
from tracker_service.export.building import MediaReader, Progress, build_file, shaped_records
from tracker_service.export.selection import select
from tracker_service.export.shaping import Shaper
from tracker_service.export.stream import Chunk, export_at_once
from tracker_service.export.writers import ExportNote
from tracker_service.tokens import decode_token, encode_token

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tracker_service.export.kept_files import KeptFile, KeptFiles
    from tracker_service.export.selection import ExportRequest
    from tracker_service.store.interface import Store

CHUNK_BYTES: Final = 512 * 1024
MOST_BUILDS: Final = 2
"""Files that are built at once; each takes a processor and a bounded piece of memory."""
PROGRESS_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Keeper:
    """What exports need beside the store.

    Attributes:
        files: Keeps built files.
        media: Reads media.
        pseudonym_key: Of the pseudonyms; empty: the deployment has none.
        software_version: Of this tracker.
    """

    files: KeptFiles
    media: MediaReader
    pseudonym_key: bytes
    software_version: str


class Exports:
    """Hands out files of records."""

    def __init__(self, store: Store, keeper: Keeper) -> None:
        """Export what `store` keeps."""
        self._store = store
        self._keeper = keeper
        self._builds = 0

    async def chunks(self, request: ExportRequest) -> AsyncGenerator[Chunk, None]:
        """Write the file.

        Args:
            request: Which records, in which form, from where.

        Yields:
            The file in pieces of at most `CHUNK_BYTES`; before a built one begins, empty pieces
            that tell how far it is.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND: one of the ids is unknown or not the asker's.
            InvalidArgumentError: CURSOR_INVALID or TOO_MANY_RECORDS.
            FailedPreconditionError: PSEUDONYM_KEY_MISSING.
            ResourceExhaustedError: EXPORTS_BUSY.
            UnavailableError: EXPORT_DISK_UNAVAILABLE.
        """
        if request.shape.pseudonymise and not self._keeper.pseudonym_key:
            raise FailedPreconditionError(
                "PSEUDONYM_KEY_MISSING", "This deployment has no key for pseudonyms; set one."
            )
        shaper = Shaper(request.shape, self._keeper.pseudonym_key)
        if request.format.value.at_once:
            chunks = export_at_once(self._store, request, shaper)
        elif request.cursor:
            chunks = self._resumed(request)
        else:
            chunks = self._built(request, shaper)
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
        except OSError as exc:
            raise UnavailableError(
                "EXPORT_DISK_UNAVAILABLE",
                "The tracker cannot write the file; try again later.",
                retry_seconds=60,
            ) from exc

    async def _built(self, request: ExportRequest, shaper: Shaper) -> AsyncGenerator[Chunk, None]:
        if self._builds >= MOST_BUILDS:
            raise ResourceExhaustedError(
                "EXPORTS_BUSY", "Other exports are being built; try again.", retry_seconds=5
            )
        selection = await select(self._store, request)
        records = shaped_records(selection, await self._store.last_key(), shaper)
        note = ExportNote(time.time_ns() // 1000, _told(request), self._keeper.software_version)
        progress = Progress()
        with self._keeper.files.building() as file:
            self._builds += 1
            building = asyncio.create_task(
                build_file(request.format, records, self._keeper.media, file.path, note, progress),
                name="export-build",
            )
            try:
                while not (await asyncio.wait([building], timeout=PROGRESS_SECONDS))[0]:
                    yield Chunk(b"", "", record_count=progress.record_count)
                await building
            finally:
                building.cancel()
                await asyncio.wait([building])
                self._builds -= 1
            file.ready = True
            async with aclosing(_pieces(file, request, 0)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _resumed(self, request: ExportRequest) -> AsyncGenerator[Chunk, None]:
        try:
            number, offset = decode_token("export-file", request.scope, request.cursor, 2)
        except ValueError as exc:
            raise _cursor_invalid() from exc
        with self._keeper.files.open(number) as file:
            if file is None or offset < 0:
                raise _cursor_invalid()
            async with aclosing(_pieces(file, request, offset)) as pieces:
                async for piece in pieces:
                    yield piece


async def _pieces(
    file: KeptFile, request: ExportRequest, offset: int
) -> AsyncGenerator[Chunk, None]:
    opened = await asyncio.to_thread(file.path.open, "rb")
    with opened:
        size = await asyncio.to_thread(opened.seek, 0, 2)
        await asyncio.to_thread(opened.seek, offset)
        while data := await asyncio.to_thread(opened.read, CHUNK_BYTES):
            offset += len(data)
            cursor = encode_token("export-file", request.scope, file.number, offset)
            yield Chunk(data, cursor, size_bytes=size)


def _told(request: ExportRequest) -> dict[str, object]:
    """Return the filters and options as a file tells them."""
    wanted, shape = request.wanted, request.shape
    return {
        "execution_ids": list(request.execution_ids),
        "config_name": wanted.config_name or None,
        "session_id": None if shape.pseudonymise else wanted.session_id or None,
        "user_id": None if shape.pseudonymise else wanted.user_id or None,
        "states": [state.value for state in wanted.states],
        "pseudonymised": shape.pseudonymise,
        "without_media": shape.drop_media,
        "without_text": shape.drop_text,
    }


def _cursor_invalid() -> InvalidArgumentError:
    return InvalidArgumentError(
        "CURSOR_INVALID", "The file of this cursor is gone; begin again.", field="cursor"
    )

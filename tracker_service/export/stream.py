"""JSON and JSON Lines, handed out piece by piece while they are written.

At most one record is in memory at a time, whatever the size of the file, and every piece says
where to go on, so that a broken download need not begin again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from servicekit.errors import InvalidArgumentError
from tracker_service.export.formats import ExportFormat
from tracker_service.export.json_form import dump, dump_line
from tracker_service.export.selection import select
from tracker_service.tokens import decode_token, encode_token

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tracker_service.export.selection import ExportRequest, Selection
    from tracker_service.export.shaping import Shaper
    from tracker_service.records import ExecutionRecord
    from tracker_service.store.interface import KeyedRecord, Store

CHUNK_BYTES: Final = 512 * 1024
SHORT_ITEMS: Final = 32
SHORT_TEXT: Final = 64 * 1024
"""Code points; what is longer is written in a thread, so that nobody else waits for it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the file.

    Attributes:
        data: Its bytes.
        cursor: Where to go on after it; empty: from the beginning.
        size_bytes: Of the whole file; 0: not known yet.
        record_count: Records that are written, while the file is being built.
    """

    data: bytes
    cursor: str
    size_bytes: int = 0
    record_count: int = 0


@dataclass(slots=True)
class _Place:
    """Where in the file we are.

    Attributes:
        until: Newest execution when the export began; later ones do not join it.
        key: The record that is being written, or was last.
        revision: Its revision, while only a part of it is out.
        offset: Bytes of it that are out; 0 with no revision: all of it is.
        count: Records that are out, as far as it matters: 0, or 1 for "some".
        ended: The end of the file is out.
    """

    until: int
    key: int = 0
    revision: int = 0
    offset: int = 0
    count: int = 0
    ended: int = 0


async def export_at_once(
    store: Store, request: ExportRequest, shaper: Shaper
) -> AsyncGenerator[Chunk, None]:
    """Write the file.

    Args:
        store: Where the records are.
        request: Which ones, in which form, from where.
        shaper: What is shown of them.

    Yields:
        The file in pieces of at most `CHUNK_BYTES`.

    Raises:
        NotFoundError: EXECUTION_NOT_FOUND: one of the ids is unknown or not the asker's.
        InvalidArgumentError: CURSOR_INVALID.
    """
    selection = await select(store, request)
    place = _read_cursor(request) if request.cursor else _Place(await store.last_key())
    if place.ended:
        return
    pending = bytearray()
    while (found := await _next_record(store, request, selection, place)) is not None:
        data = await _framed_aside(request.format, shaper, found.record, first=place.count == 0)
        offset = place.offset
        while offset < len(data):
            piece = data[offset : offset + CHUNK_BYTES - len(pending)]
            pending += piece
            offset += len(piece)
            if len(pending) >= CHUNK_BYTES:
                place.offset = offset
                yield _chunk(pending, request, place)
        place.revision, place.offset, place.count = 0, 0, 1
    place.ended = 1
    pending += _ending(request.format, empty=place.count == 0)
    yield _chunk(pending, request, place)


async def _next_record(
    store: Store, request: ExportRequest, selection: Selection, place: _Place
) -> KeyedRecord | None:
    """Return the record to write, and make it the place; None: there are no more."""
    if place.revision:  # a part of it is out already
        found = await store.record_by_key(place.key, request.audience)
        if found is None or found.revision != place.revision:
            raise _cursor_invalid("The record at this cursor has changed; begin again.")
        return found
    following = await selection.record_after(place.key, place.until)
    if following is not None:
        place.key, place.revision = following.key, following.revision
    return following


async def _framed_aside(
    form: ExportFormat, shaper: Shaper, record: ExecutionRecord, *, first: bool
) -> bytes:
    """Write a record; in a thread, unless it is so short that handing it over takes longer."""
    length = sum(len(item.content or "") + len(item.metadata_json) for item in record.items)
    if length <= SHORT_TEXT and len(record.items) <= SHORT_ITEMS:
        return _framed(form, shaper.shaped(record), first=first)
    return await asyncio.to_thread(lambda: _framed(form, shaper.shaped(record), first=first))


def _framed(form: ExportFormat, record: ExecutionRecord, *, first: bool) -> bytes:
    """Return a record with what stands before it in the file."""
    if form is ExportFormat.JSON_LINES:
        return f"{dump_line(record)}\n".encode()
    # Line ends inside of texts are escaped, so every one here belongs to the layout.
    indented = dump(record).replace("\n", "\n  ")
    return f"{'[' if first else ','}\n  {indented}".encode()


def _ending(form: ExportFormat, *, empty: bool) -> bytes:
    if form is ExportFormat.JSON_LINES:
        return b""
    return b"[]\n" if empty else b"\n]\n"


def _chunk(pending: bytearray, request: ExportRequest, place: _Place) -> Chunk:
    data = bytes(pending)
    pending.clear()
    values = (place.until, place.key, place.revision, place.offset, place.count, place.ended)
    return Chunk(data, encode_token("export", request.scope, *values))


def _read_cursor(request: ExportRequest) -> _Place:
    try:
        values = decode_token("export", request.scope, request.cursor, 6)
    except ValueError as exc:
        raise _cursor_invalid("Send a cursor as it was received, with the same filters.") from exc
    if any(value < 0 for value in values):
        raise _cursor_invalid("Send a cursor as it was received.")
    return _Place(*values)


def _cursor_invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError("CURSOR_INVALID", message, field="cursor")

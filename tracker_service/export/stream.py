"""Handing out many records as one file, piece by piece.

At most one record is in memory at a time, whatever the size of the file, and every piece says
where to go on, so that a broken download need not begin again.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from servicekit.errors import InvalidArgumentError
from tracker_service.export.json_form import dump, dump_line
from tracker_service.tokens import decode_token, encode_token

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tracker_service.access import Audience
    from tracker_service.records import ExecutionRecord
    from tracker_service.store.interface import ExecutionFilter, KeyedRecord, Store

CHUNK_BYTES: Final = 512 * 1024
MAX_IDS: Final = 10_000


class ExportFormat(Enum):
    """The form of an exported file: MIME type and name."""

    JSON = ("application/json", "executions.json")
    JSON_LINES = ("application/jsonl", "executions.jsonl")

    @property
    def mime_type(self) -> str:
        """MIME type of the file."""
        return self.value[0]

    @property
    def filename(self) -> str:
        """A name for the file."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is wanted.

    Attributes:
        format: Form of the file.
        execution_ids: Just these; empty: all that match.
        wanted: The filters.
        audience: Who asks.
        cursor: Where to go on; empty: at the beginning.
    """

    format: ExportFormat
    execution_ids: tuple[str, ...]
    wanted: ExecutionFilter
    audience: Audience
    cursor: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the file.

    Attributes:
        data: Its bytes.
        cursor: Where to go on after it.
    """

    data: bytes
    cursor: str


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


async def export_records(store: Store, request: ExportRequest) -> AsyncGenerator[Chunk, None]:
    """Write the file.

    Args:
        store: Where the records are.
        request: Which ones, in which form, from where.

    Yields:
        The file in pieces of at most `CHUNK_BYTES`.

    Raises:
        NotFoundError: EXECUTION_NOT_FOUND: one of the ids is unknown or not the asker's.
        InvalidArgumentError: CURSOR_INVALID.
    """
    keys = _Keys(store, request, await store.keys_of(request.execution_ids, request.audience))
    place = _read_cursor(request) if request.cursor else _Place(await store.last_key())
    if place.ended:
        return
    pending = bytearray()
    while (found := await _next_record(store, request, keys, place)) is not None:
        data = await asyncio.to_thread(
            _framed, request.format, found.record, first=place.count == 0
        )
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
    store: Store, request: ExportRequest, keys: _Keys, place: _Place
) -> KeyedRecord | None:
    """Return the record to write, and make it the place; None: there are no more."""
    if place.revision:  # a part of it is out already
        found = await store.record_by_key(place.key, request.audience)
        if found is None or found.revision != place.revision:
            raise _cursor_invalid("The record at this cursor has changed; begin again.")
        return found
    while (key := await keys.after(place)) is not None:
        place.key = key
        found = await store.record_by_key(key, request.audience)
        if found is not None:
            place.revision = found.revision
            return found
    return None


class _Keys:
    """The records that are wanted, in the order of creation."""

    def __init__(self, store: Store, request: ExportRequest, chosen: list[int]) -> None:
        self._store = store
        self._request = request
        self._chosen = chosen

    async def after(self, place: _Place) -> int | None:
        """Return the key of the next record; None: that was the last."""
        if self._request.execution_ids:
            index = bisect_right(self._chosen, place.key)
            return self._chosen[index] if index < len(self._chosen) else None
        return await self._store.next_key(
            self._request.wanted, self._request.audience, place.key, place.until
        )


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
    return Chunk(data, encode_token("export", _scope(request), *values))


def _read_cursor(request: ExportRequest) -> _Place:
    try:
        values = decode_token("export", _scope(request), request.cursor, 6)
    except ValueError as exc:
        raise _cursor_invalid("Send a cursor as it was received, with the same filters.") from exc
    if any(value < 0 for value in values):
        raise _cursor_invalid("Send a cursor as it was received.")
    return _Place(*values)


def _scope(request: ExportRequest) -> tuple[object, ...]:
    return (request.format, request.execution_ids, request.wanted, request.audience)


def _cursor_invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError("CURSOR_INVALID", message, field="cursor")

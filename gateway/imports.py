"""Files on their way to the tracker: cut to size, never held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stellwerk.tracker.v1 import export_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.datastructures import UploadFile

CHUNK_BYTES = 256 * 1024


async def import_parts(
    header: pb.ImportExecutionsHeader, body: AsyncIterator[bytes]
) -> AsyncIterator[pb.ImportExecutionsRequest]:
    """Yield what an import sends: its header, then the file."""
    yield pb.ImportExecutionsRequest(header=header)
    async for data in body:
        for begin in range(0, len(data), CHUNK_BYTES):
            yield pb.ImportExecutionsRequest(data=data[begin : begin + CHUNK_BYTES])


async def pieces_of(file: UploadFile) -> AsyncIterator[bytes]:
    """Yield a file of a form, which lies on disk."""
    while data := await file.read(CHUNK_BYTES):
        yield data

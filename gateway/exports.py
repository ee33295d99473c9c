"""Exports as they come from the tracker: how far one is, then its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.responses import StreamingResponse

from servicekit.channel import ending
from stellwerk.tracker.v1 import export_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.neighbours import Neighbours

EXPORT_SECONDS = 6 * 3600.0
FORMATS = ("zip", "json", "jsonl", "csv", "xlsx", "parquet", "pdf", "ro-crate", "prov-json")
"""What people call the formats."""


def export_format(word: str) -> pb.ExportFormat.ValueType:
    """Return the format that people call `jsonl` or `ro-crate`."""
    name = "json_lines" if word == "jsonl" else word.replace("-", "_")
    return pb.ExportFormat.Value(f"EXPORT_FORMAT_{name.upper()}")


class OpenedExport:
    """An export whose file is there: what it is, and its bytes, to be read once."""

    def __init__(self, call: Any, first: pb.ExportExecutionsResponse) -> None:
        """Take a call of which everything up to `first` was read."""
        self._call = call
        self.first = first

    def close(self) -> None:
        """Read no further."""
        self._call.cancel()

    def response(self) -> StreamingResponse:
        """Return the file as a download."""
        headers = {"content-disposition": f'attachment; filename="{self.first.filename}"'}
        if self.first.size_bytes:
            headers["content-length"] = str(self.first.size_bytes)
        return StreamingResponse(self._bytes(), headers=headers, media_type=self.first.mime_type)

    async def _bytes(self) -> AsyncIterator[bytes]:
        with ending(self._call):
            yield self.first.data
            async for chunk in self._call:
                yield chunk.data


async def open_export(
    services: Neighbours,
    request: pb.ExportExecutionsRequest,
    told: Callable[[int], None] = lambda _: None,
) -> OpenedExport:
    """Wait until a file is built.

    Args:
        services: The tracker.
        request: What is wanted.
        told: Hears how many executions are written.

    Raises:
        grpc.aio.AioRpcError: The tracker refuses, or is gone.
    """
    call = services.export.ExportExecutions(request, timeout=EXPORT_SECONDS)
    chunk = pb.ExportExecutionsResponse()
    try:
        async for chunk in call:
            if chunk.data or chunk.size_bytes:
                break
            told(chunk.record_count)
    except BaseException:
        call.cancel()
        raise
    return OpenedExport(call, chunk)  # a file may be empty, such as lines of no executions


async def reopen_export(
    services: Neighbours, request: pb.ExportExecutionsRequest, first: pb.ExportExecutionsResponse
) -> OpenedExport:
    """Read a file that was opened before, without having it built again.

    Args:
        services: The tracker, which keeps built files for some minutes.
        request: What was wanted.
        first: The first piece, as it came then.

    Raises:
        grpc.aio.AioRpcError: The tracker refuses, or is gone.
    """
    if not first.size_bytes:  # written while it is read: nothing is lost by beginning again
        return await open_export(services, request)
    goes_on = pb.ExportExecutionsRequest()
    goes_on.CopyFrom(request)
    goes_on.cursor = first.cursor
    call = services.export.ExportExecutions(goes_on, timeout=EXPORT_SECONDS)
    return OpenedExport(call, first)

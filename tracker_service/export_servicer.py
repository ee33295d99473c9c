"""ExportService on the wire."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from servicekit.errors import InvalidArgumentError
from servicekit.principals import current_principal
from stellwerk.tracker.v1 import export_service_pb2 as pb
from stellwerk.tracker.v1 import export_service_pb2_grpc
from tracker_service import converters
from tracker_service.access import audience_of
from tracker_service.export.stream import MAX_IDS, ExportRequest, export_records

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from tracker_service.store.interface import Store

    Context = grpc.aio.ServicerContext[Any, Any]


class ExportServicer(export_service_pb2_grpc.ExportServiceServicer):
    """Hands executions out as files."""

    def __init__(self, store: Store) -> None:
        """Export what `store` keeps."""
        self._store = store

    async def ExportExecutions(
        self, request: pb.ExportExecutionsRequest, context: Context
    ) -> AsyncIterator[pb.ExportExecutionsResponse]:
        """Stream one file of all executions that match and that the caller may see."""
        wanted = _read_request(request)
        form = wanted.format
        async with aclosing(export_records(self._store, wanted)) as chunks:
            async for chunk in chunks:
                yield pb.ExportExecutionsResponse(
                    data=chunk.data,
                    cursor=chunk.cursor,
                    mime_type=form.mime_type,
                    filename=form.filename,
                )


def _read_request(request: pb.ExportExecutionsRequest) -> ExportRequest:
    if len(request.execution_ids) > MAX_IDS:
        raise InvalidArgumentError(
            "TOO_MANY_IDS", "Name at most 10 000 executions.", field="execution_ids"
        )
    return ExportRequest(
        format=converters.read_format(request.format),
        execution_ids=tuple(request.execution_ids),
        wanted=converters.read_filter(request),
        audience=audience_of(current_principal()),
        cursor=request.cursor,
    )

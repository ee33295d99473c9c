"""ExportService on the wire."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from servicekit.errors import InvalidArgumentError
from servicekit.principals import current_principal
from stellwerk.tracker.v1 import export_service_pb2 as pb
from stellwerk.tracker.v1 import export_service_pb2_grpc
from tracker_service import converters
from tracker_service.access import audience_of
from tracker_service.export.formats import ExportFormat
from tracker_service.export.selection import MAX_IDS, ExportRequest
from tracker_service.export.shaping import Shape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from tracker_service.export.exports import Exports
    from tracker_service.importing.intake import ImportIntake
    from tracker_service.importing.model import Report
    from tracker_service.views import Views

    Context = grpc.aio.ServicerContext[Any, Any]

MAX_NAME: Final = 256
_FORMATS: Final[dict[int, ExportFormat]] = {
    number: ExportFormat[name.removeprefix("EXPORT_FORMAT_")]
    for name, number in pb.ExportFormat.items()
    if number
}


class ExportServicer(export_service_pb2_grpc.ExportServiceServicer):
    """Hands executions out as files, and takes them in."""

    def __init__(self, exports: Exports, intake: ImportIntake, views: Views) -> None:
        """Hand out what `exports` makes, as `views` shows it, and give `intake` what comes in."""
        self._exports = exports
        self._intake = intake
        self._views = views

    async def ExportExecutions(
        self, request: pb.ExportExecutionsRequest, context: Context
    ) -> AsyncIterator[pb.ExportExecutionsResponse]:
        """Stream one file of all executions that match and that the caller may see."""
        wanted = await self._seen(_read_request(request))
        form = wanted.format
        async with aclosing(self._exports.chunks(wanted)) as chunks:
            async for chunk in chunks:
                yield pb.ExportExecutionsResponse(
                    data=chunk.data,
                    cursor=chunk.cursor,
                    mime_type=form.mime_type,
                    filename=form.filename,
                    size_bytes=chunk.size_bytes,
                    record_count=chunk.record_count,
                )

    async def _seen(self, request: ExportRequest) -> ExportRequest:
        """Return a request as its caller may make it: nobody sees more in a file than elsewhere."""
        view = self._views.of(current_principal())
        if not view.pseudonymous:
            return request
        return replace(
            request,
            wanted=await view.wanted(request.wanted),
            shape=replace(request.shape, pseudonymise=True),
        )

    async def ImportExecutions(
        self, requests: AsyncIterator[pb.ImportExecutionsRequest], context: Context
    ) -> pb.ImportExecutionsResponse:
        """Store the records of a file."""
        first = await anext(aiter(requests), None)
        if first is None or not first.HasField("header"):
            raise InvalidArgumentError(
                "HEADER_MISSING", "Send a header before the bytes.", field="header"
            )

        async def pieces() -> AsyncIterator[bytes]:
            async for request in requests:
                yield request.data

        name = first.header.filename[:MAX_NAME] or "file"
        report = await self._intake.take(pieces(), name, dry_run=first.header.dry_run)
        return _report_message(report)


def _report_message(report: Report) -> pb.ImportExecutionsResponse:
    return pb.ImportExecutionsResponse(
        dry_run=report.dry_run,
        read_count=report.read_count,
        imported_count=report.imported_count,
        present_count=report.present_count,
        item_count=report.item_count,
        media_count=report.media_count,
        skipped=[
            pb.ImportSkip(
                source=one.source,
                execution_id=one.execution_id,
                reason=one.reason,
                message=one.message,
            )
            for one in report.skipped
        ],
        skipped_count=report.skipped_count,
        warnings=[
            pb.ImportWarning(reason=reason, subject=subject, count=count)
            for (reason, subject), count in report.warnings.items()
        ],
    )


def _read_request(request: pb.ExportExecutionsRequest) -> ExportRequest:
    if len(request.execution_ids) > MAX_IDS:
        raise InvalidArgumentError(
            "TOO_MANY_IDS", "Name at most 10 000 executions.", field="execution_ids"
        )
    return ExportRequest(
        format=_read_format(request.format),
        execution_ids=tuple(request.execution_ids),
        wanted=replace(converters.read_filter(request), user_id=request.user_id),
        audience=audience_of(current_principal()),
        cursor=request.cursor,
        shape=Shape(
            pseudonymise=request.pseudonymise,
            drop_media=request.drop_media,
            drop_text=request.drop_text,
        ),
    )


def _read_format(number: int) -> ExportFormat:
    form = _FORMATS.get(number)
    if form is None:
        raise InvalidArgumentError("FORMAT_UNSPECIFIED", "Name a format.", field="format")
    return form

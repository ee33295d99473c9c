"""Long transfers, which go on where they were when a connection breaks."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2 import (
    RunExecutionRequest,
    RunExecutionResponse,
    WatchExecutionRequest,
)
from stellwerk.tracker.v1 import export_service_pb2 as export_pb2
from stellwerk_client.errors import StellwerkError, translated
from stellwerk_client.patience import Patience

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from pathlib import Path

    from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceAsyncStub
    from stellwerk.orchestrator.v1.event_pb2 import ExecutionEvent
    from stellwerk.tracker.v1.export_service_pb2_grpc import ExportServiceAsyncStub
    from stellwerk_client.files import PartFile, ResumableFile

T = TypeVar("T")
Asking = TypeVar("Asking", RunExecutionRequest, WatchExecutionRequest)

TRANSFER_SECONDS = 600.0
"""Limit of one attempt of a transfer."""
IMPORT_SECONDS = 6 * 3600.0
"""Limit of an import: sending the file, and storing what is in it."""
_CHUNK_BYTES = 256 * 1024


async def responses(call: Any, _: type[T]) -> AsyncGenerator[T]:
    """Yield the responses of a streaming call; the call ends when nobody reads on.

    Args:
        call: A started call.

    Raises:
        StellwerkError: The call failed.
    """
    with translated():
        try:
            async for response in call:
                yield response
        finally:
            call.cancel()


def batched(request: Asking) -> Asking:
    """Return the same request, whose events may come several in one response."""
    copy = type(request)()
    copy.CopyFrom(request)
    copy.batch_events = True
    return copy


async def events(call: Any) -> AsyncGenerator[ExecutionEvent]:
    """Yield the events of a call that streams what happens in an execution; see `responses`."""
    # Every RPC about an execution has a response of its own; in all of them the event is `event`,
    # and `more_events` follow where they come in batches.
    async with aclosing(responses(call, RunExecutionResponse)) as stream:
        async for response in stream:
            yield response.event
            for event in getattr(response, "more_events", ()):
                yield event


async def download(
    stub: GenerationServiceAsyncStub, execution_id: str, item_id: str, *, manifest: bool = False
) -> AsyncGenerator[generation_pb2.ReadMediaResponse]:
    """Yield the pieces of an item's file, or of the mark beside it; the first names the file."""
    item = generation_pb2.ItemKey(execution_id=execution_id, item_id=item_id)
    request = generation_pb2.ReadMediaRequest(
        key=generation_pb2.MediaKey(item=item), manifest=manifest
    )
    patience = Patience()
    while True:
        call = stub.ReadMedia(request, timeout=TRANSFER_SECONDS)
        try:
            async with aclosing(responses(call, generation_pb2.ReadMediaResponse)) as pieces:
                async for piece in pieces:
                    request.offset += len(piece.data)
                    patience.restore()
                    yield piece
        except StellwerkError as exc:
            await patience.bear(exc)
        else:
            return


async def upload_requests(
    content: bytes | Path, filename: str
) -> AsyncIterator[generation_pb2.UploadMediaRequest]:
    """Yield the header and the pieces of a file.

    Raises:
        OSError: The file cannot be read.
    """
    header = generation_pb2.UploadMediaHeader(filename=filename)
    yield generation_pb2.UploadMediaRequest(header=header)
    if isinstance(content, bytes):
        for begin in range(0, len(content), _CHUNK_BYTES):
            yield generation_pb2.UploadMediaRequest(data=content[begin : begin + _CHUNK_BYTES])
        return
    file = await asyncio.to_thread(content.open, "rb")
    with file:
        while data := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield generation_pb2.UploadMediaRequest(data=data)


async def export(
    stub: ExportServiceAsyncStub, request: export_pb2.ExportExecutionsRequest
) -> AsyncGenerator[export_pb2.ExportExecutionsResponse]:
    """Yield the chunks of an export; `request.cursor` is moved along."""
    patience = Patience()
    while True:
        call = stub.ExportExecutions(request, timeout=TRANSFER_SECONDS)
        try:
            async with aclosing(responses(call, export_pb2.ExportExecutionsResponse)) as chunks:
                async for chunk in chunks:
                    request.cursor = chunk.cursor
                    patience.restore()
                    yield chunk
        except StellwerkError as exc:
            await patience.bear(exc)
        else:
            return


async def export_to(
    file: ResumableFile,
    stub: ExportServiceAsyncStub,
    request: export_pb2.ExportExecutionsRequest,
    on_chunk: Callable[[export_pb2.ExportExecutionsResponse], None] | None,
) -> None:
    """Write an export into a file, from where the file is.

    Raises:
        OSError: It cannot be written.
    """
    rest = export_pb2.ExportExecutionsRequest()
    rest.CopyFrom(request)
    rest.cursor = file.progress.cursor
    async with aclosing(export(stub, rest)) as chunks:
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk.data, chunk.cursor)
            if on_chunk is not None:
                on_chunk(chunk)


async def import_requests(
    path: Path,
    header: export_pb2.ImportExecutionsHeader,
    on_sent: Callable[[int], None] | None,
) -> AsyncIterator[export_pb2.ImportExecutionsRequest]:
    """Yield the header and the pieces of a file.

    Raises:
        OSError: The file cannot be read.
    """
    yield export_pb2.ImportExecutionsRequest(header=header)
    sent = 0
    file = await asyncio.to_thread(path.open, "rb")
    with file:
        while data := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield export_pb2.ImportExecutionsRequest(data=data)
            sent += len(data)
            if on_sent is not None:
                on_sent(sent)


def digest_of(request: export_pb2.ExportExecutionsRequest) -> str:
    """Return what tells an export from others, whatever its cursor."""
    plain = export_pb2.ExportExecutionsRequest()
    plain.CopyFrom(request)
    plain.ClearField("cursor")
    return hashlib.sha256(plain.SerializeToString(deterministic=True)).hexdigest()


def is_whole(file: PartFile, first: generation_pb2.ReadMediaResponse) -> bool:
    """Tell whether a file arrived as announced; the hash is that of the file without its mark."""
    if first.delivery.marked:
        return file.size_bytes == first.delivery.size_bytes
    return file.sha256 == first.media.sha256

"""One server that plays orchestrator, generation and tracker: for tests of the client.

Its transfers can be told to break in the middle, which real services do too rarely to test.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from servicekit.errors import InternalError, InvalidArgumentError, NotFoundError, UnavailableError
from servicekit.server import start_server
from servicekit.settings import ServiceSettings
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.orchestrator.v1 import event_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk.tracker.v1 import export_service_pb2
from tests.fakes.partial import add_partial_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    Context = grpc.aio.ServicerContext[object, object]

PAGE = 2
CHUNK = 1_000


@dataclass
class Deployment:
    """What the server has and does.

    Attributes:
        address: Where it serves.
        media: Bytes of the one item's file.
        media_sha256: The hash that it claims; None = the true one.
        marked_size: The size that it claims for a file with a mark in it; None = it has none.
        manifest: The mark beside the file; empty: there is none.
        export: Bytes of every export.
        config_ids: Ids of its configs.
        breaks: How many of the next transfers break after one piece.
        fails_at: From which byte on exports fail for good; 0 = nowhere.
        hangs: Whether `GetServerInfo` never answers.
        forgets_cursors: Whether every cursor is invalid.
        left: Set when a caller leaves a run.
        uploaded: What was uploaded last.
        cursors: Cursors that exports began with.
        offsets: Offsets that reads began with.
        seen: Metadata of the last call.
    """

    address: str = ""
    media: bytes = b"picture" * 1_000
    media_sha256: str | None = None
    marked_size: int | None = None
    manifest: bytes = b""
    export: bytes = b"0123456789" * 1_000
    config_ids: tuple[str, ...] = ("bauhaus", "dada", "overdrive", "passthrough", "stillepost")
    breaks: int = 0
    fails_at: int = 0
    hangs: bool = False
    forgets_cursors: bool = False
    left: asyncio.Event = field(default_factory=asyncio.Event)
    uploaded: tuple[str, bytes] = ("", b"")
    cursors: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)

    async def get_server_info(
        self, _: orchestrator_pb2.GetServerInfoRequest, context: Context
    ) -> orchestrator_pb2.GetServerInfoResponse:
        """Name itself as every service."""
        self.seen = {key: str(value) for key, value in context.invocation_metadata() or ()}
        if self.hangs:
            await asyncio.Event().wait()
        return orchestrator_pb2.GetServerInfoResponse(
            generation_address=self.address, tracker_address=self.address
        )

    async def run_execution(
        self, request: orchestrator_pb2.RunExecutionRequest, _: Context
    ) -> AsyncIterator[orchestrator_pb2.RunExecutionResponse]:
        """Echo the texts; a run of `endless` waits until its caller leaves."""
        if not request.texts:
            raise InvalidArgumentError("EMPTY_TEXT", "Say something.", field="texts[0]")
        for number, text in enumerate(request.texts, start=1):
            event = event_pb2.ExecutionEvent(execution_id="e", sequence_number=number)
            event.text_delta.text = text
            yield orchestrator_pb2.RunExecutionResponse(event=event)
        try:
            if request.config == "endless":
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.left.set()
            raise

    async def list_configs(
        self, request: orchestrator_pb2.ListConfigsRequest, _: Context
    ) -> orchestrator_pb2.ListConfigsResponse:
        """Page through the configs, two at a time."""
        begin = int(request.page_token or 0)
        response = orchestrator_pb2.ListConfigsResponse()
        for config_id in self.config_ids[begin : begin + PAGE]:
            response.configs.add(id=config_id)
        if begin + PAGE < len(self.config_ids):
            response.next_page_token = str(begin + PAGE)
        return response

    async def upload_media(
        self, requests: AsyncIterator[generation_pb2.UploadMediaRequest], _: Context
    ) -> generation_pb2.UploadMediaResponse:
        """Keep a file."""
        filename, content = "", b""
        async for request in requests:
            filename = filename or request.header.filename
            content += request.data
        self.uploaded = (filename, content)
        return generation_pb2.UploadMediaResponse(media=self._ref(content))

    async def read_media(
        self, request: generation_pb2.ReadMediaRequest, _: Context
    ) -> AsyncIterator[generation_pb2.ReadMediaResponse]:
        """Stream the one file."""
        if request.key.item.item_id != "picture":
            raise NotFoundError("MEDIA_NOT_FOUND", "There is no such file.")
        if request.manifest:
            if not self.manifest:
                raise InvalidArgumentError("MANIFEST_UNAVAILABLE", "It has no mark beside it.")
            size = self.marked_size or len(self.manifest)
            delivery = generation_pb2.MediaDelivery(size_bytes=size)
            yield generation_pb2.ReadMediaResponse(data=self.manifest, delivery=delivery)
            return
        self.offsets.append(request.offset)
        first = generation_pb2.ReadMediaResponse(media=self._ref(self.media))
        if self.marked_size is not None:
            first.delivery.marked = True
            first.delivery.size_bytes = self.marked_size
        for begin in range(request.offset, len(self.media), CHUNK):
            first.data = self.media[begin : begin + CHUNK]
            yield first
            first = generation_pb2.ReadMediaResponse()
            self._break()

    async def export_executions(
        self, request: export_service_pb2.ExportExecutionsRequest, _: Context
    ) -> AsyncIterator[export_service_pb2.ExportExecutionsResponse]:
        """Stream the one export; cursors are offsets."""
        self.cursors.append(request.cursor)
        if request.cursor and self.forgets_cursors:
            raise InvalidArgumentError("CURSOR_INVALID", "Begin again.", field="cursor")
        for begin in range(int(request.cursor or 0), len(self.export), CHUNK):
            data = self.export[begin : begin + CHUNK]
            if self.fails_at and begin >= self.fails_at:
                raise InternalError("EXPORT_FAILED", "Something is wrong here.")
            yield export_service_pb2.ExportExecutionsResponse(data=data, cursor=str(begin + CHUNK))
            self._break()

    def _ref(self, content: bytes) -> types_pb2.MediaRef:
        sha256 = self.media_sha256 or hashlib.sha256(content).hexdigest()
        return types_pb2.MediaRef(sha256=sha256, size_bytes=len(content))

    def _break(self) -> None:
        if self.breaks:
            self.breaks -= 1
            raise UnavailableError("DRAINING", "Come back soon.", retry_seconds=0.01)


@contextlib.asynccontextmanager
async def serving_deployment(deployment: Deployment) -> AsyncIterator[Deployment]:
    """Serve `deployment` in this process."""

    async def register(server: grpc.aio.Server, _: object) -> list[str]:
        return [
            add_partial_service(
                server,
                orchestrator_pb2.DESCRIPTOR.services_by_name["OrchestratorService"],
                {
                    "GetServerInfo": deployment.get_server_info,
                    "RunExecution": deployment.run_execution,
                    "ListConfigs": deployment.list_configs,
                },
            ),
            add_partial_service(
                server,
                generation_pb2.DESCRIPTOR.services_by_name["GenerationService"],
                {"UploadMedia": deployment.upload_media, "ReadMedia": deployment.read_media},
            ),
            add_partial_service(
                server,
                export_service_pb2.DESCRIPTOR.services_by_name["ExportService"],
                {"ExportExecutions": deployment.export_executions},
            ),
        ]

    settings = ServiceSettings(listen_address="127.0.0.1:0", grace_seconds=0)
    async with start_server(settings, register) as server:
        deployment.address = server.address
        yield deployment

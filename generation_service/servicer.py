"""The RPCs: each hands over to the domain and converts what comes back."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from generation_service import converters
from generation_service.backends.interface import MediaRequest
from generation_service.intake import Order
from generation_service.job_converters import job_event, workflow_order
from generation_service.job_servicer import JobServicer
from servicekit.context import bind_execution_id
from servicekit.errors import InvalidArgumentError
from servicekit.principals import Role, current_principal
from stellwerk.generation.v1 import generation_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from generation_service.intake import Intake
    from generation_service.media.library import MediaLibrary
    from generation_service.queue.interface import JobQueue
    from generation_service.queue.workforce import Workforce
    from generation_service.roles import ResolvedRole
    from generation_service.text.interface import TextDelta, TextRequest, TextResult

MAX_CHUNK_BYTES = 1024 * 1024


class TextAnswers(Protocol):
    """What the text RPCs need; `roles.TextGenerator` is one."""

    def resolve(self, role: str) -> ResolvedRole:
        """Tell which model a role means now."""

    def generate(self, request: TextRequest) -> AsyncIterator[TextDelta | TextResult]:
        """Ask a model: deltas, then one result."""


class GenerationServicer(JobServicer):
    """See the comments in `generation_service.proto`."""

    def __init__(
        self,
        text: TextAnswers,
        intake: Intake,
        queue: JobQueue,
        workforce: Workforce,
        library: MediaLibrary,
    ) -> None:
        """Everything that the RPCs hand over to."""
        super().__init__(queue, workforce, intake.backends)
        self._text = text
        self._intake = intake
        self._library = library

    async def ResolveRole(
        self,
        request: pb.ResolveRoleRequest,
        context: grpc.aio.ServicerContext[pb.ResolveRoleRequest, pb.ResolveRoleResponse],
    ) -> pb.ResolveRoleResponse:
        """Which model a role means now."""
        return converters.resolved_role(self._text.resolve(request.role))

    async def GenerateText(
        self,
        request: pb.GenerateTextRequest,
        context: grpc.aio.ServicerContext[pb.GenerateTextRequest, pb.GenerateTextResponse],
    ) -> AsyncIterator[pb.GenerateTextResponse]:
        """Stream the answer of a language model."""
        if request.execution_id:
            bind_execution_id(request.execution_id)
        answer = self._text.generate(converters.text_request(request))
        # Promised to be closable, though the protocol names the wider type.
        async with aclosing(answer):  # type: ignore[type-var]
            async for piece in answer:
                yield converters.text_answer(piece)

    async def GenerateMedia(
        self,
        request: pb.GenerateMediaRequest,
        context: grpc.aio.ServicerContext[pb.GenerateMediaRequest, pb.GenerateMediaResponse],
    ) -> AsyncIterator[pb.GenerateMediaResponse]:
        """Queue a job and stream its events; leaving cancels it unless detached."""
        if request.execution_id:
            bind_execution_id(request.execution_id)
        receipt = await self._intake.take(_order(request), current_principal())
        async with aclosing(self._queue.watch(receipt.job_id)) as events:
            async for event in events:
                yield job_event(event, receipt.warnings)

    async def UploadMedia(
        self,
        request_iterator: AsyncIterator[pb.UploadMediaRequest],
        context: grpc.aio.ServicerContext[pb.UploadMediaRequest, pb.UploadMediaResponse],
    ) -> pb.UploadMediaResponse:
        """Store a file of the caller."""
        first = await anext(aiter(request_iterator), None)
        if first is None or not first.HasField("header"):
            raise InvalidArgumentError(
                "HEADER_MISSING", "The first message must be the header.", field="header"
            )
        media = await self._library.keep_upload(
            _chunks(request_iterator), filename=first.header.filename, owner=current_principal()
        )
        return pb.UploadMediaResponse(media=converters.media_ref(media))

    async def ReadMedia(
        self,
        request: pb.ReadMediaRequest,
        context: grpc.aio.ServicerContext[pb.ReadMediaRequest, pb.ReadMediaResponse],
    ) -> AsyncIterator[pb.ReadMediaResponse]:
        """Stream the bytes of a file; its reference comes with the first piece."""
        name = converters.media_name(request.key)
        found = await self._library.find_for_reading(name, current_principal())
        delivered = await self._library.deliver(
            name, found, thumbnail_pixels=request.thumbnail_pixels, manifest=request.manifest
        )
        answer = pb.ReadMediaResponse(
            media=converters.media_ref(found.media), delivery=converters.delivery(delivered)
        )
        async with aclosing(self._library.read(delivered, request.offset)) as pieces:
            async for piece in pieces:
                answer.data = piece
                yield answer
                answer = pb.ReadMediaResponse()
        if answer.HasField("media"):  # the offset was the file's end
            yield answer

    async def GetMediaInfo(
        self,
        request: pb.GetMediaInfoRequest,
        context: grpc.aio.ServicerContext[pb.GetMediaInfoRequest, pb.GetMediaInfoResponse],
    ) -> pb.GetMediaInfoResponse:
        """Describe a file."""
        name = converters.media_name(request.key)
        found = await self._library.describe(name, current_principal())
        return pb.GetMediaInfoResponse(
            media=converters.media_ref(found.media),
            width=found.media.width,
            height=found.media.height,
            released=found.released,
            signed_url=await self._library.signed_url(name, found),
        )

    async def ReleaseMedia(
        self,
        request: pb.ReleaseMediaRequest,
        context: grpc.aio.ServicerContext[pb.ReleaseMediaRequest, pb.ReleaseMediaResponse],
    ) -> pb.ReleaseMediaResponse:
        """Let the owner read a file as an item."""
        media = await self._library.release(
            request.execution_id, request.item_id, request.sha256, current_principal()
        )
        return pb.ReleaseMediaResponse(media=converters.media_ref(media))

    async def DeleteMedia(
        self,
        request: pb.DeleteMediaRequest,
        context: grpc.aio.ServicerContext[pb.DeleteMediaRequest, pb.DeleteMediaResponse],
    ) -> pb.DeleteMediaResponse:
        """Forget files, and erase those that nobody else refers to."""
        principal = current_principal()
        if request.execution_id and principal.role in (Role.ADMIN, Role.SERVICE):
            await self._queue.erase(request.execution_id)  # what still runs makes nothing more
        if request.user_id:
            erased = await self._library.erase_person(request.user_id, principal)
        else:
            erased = await self._library.erase(converters.erased_name(request), principal)
        return pb.DeleteMediaResponse(
            removed_reference_count=erased.references, erased_file_count=erased.files
        )


def _order(request: pb.GenerateMediaRequest) -> Order:
    return Order(
        backend=request.backend,
        request=MediaRequest(
            model=request.model,
            media_type=converters.MEDIA_TYPES.get(request.media_type, ""),
            prompt=request.prompt,
            parameters=converters.media_parameters(request.parameters),
            workflow=workflow_order(request.workflow) if request.HasField("workflow") else None,
        ),
        execution_id=request.execution_id,
        loop_iteration=request.loop_iteration,
        output_config=request.output_config,
        item_id=request.item_id,
        detach=request.detach,
        idempotency_key=request.idempotency_key,
        priority=request.priority,
        previews=request.previews,
        safety_level=converters.LEVELS.get(request.safety_level, ""),
    )


async def _chunks(requests: AsyncIterator[pb.UploadMediaRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if len(request.data) > MAX_CHUNK_BYTES:
            raise InvalidArgumentError(
                "MEDIA_TOO_LARGE", "A message may bring at most 1 MiB.", field="data"
            )
        yield request.data

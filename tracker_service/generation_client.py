"""What the tracker asks of its neighbour generation: media to read, take over and erase; texts."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import grpc
import structlog

from servicekit.channel import deadline, ending
from servicekit.errors import Code, UnavailableError, remote_error
from servicekit.principals import Principal, Role, acting_as
from stellwerk.generation.v1 import generation_service_pb2 as generation
from stellwerk.generation.v1 import generation_service_pb2_grpc as generation_grpc
from tracker_service.converters import level_number
from tracker_service.export_workflow.summary.machine import NoTextError, WrittenText
from tracker_service.items import MediaRef

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tracker_service.importing.model import Owner

log = structlog.get_logger(__name__)

_PIECE_BYTES = 512 * 1024
_SUMMARY_TEMPERATURE = 0.2
_SUMMARY_TOKENS = 600
_ITSELF = Principal(
    id="imported", role=Role.SERVICE, session="imported", group="", actor=Role.SERVICE
)
"""Owns imported files that nobody else may read."""


def _can_travel(name: object) -> bool:
    """Tell whether an imported name can be that of a principal: older systems had other rules."""
    return isinstance(name, str) and name.isascii() and name.isprintable() and len(name) <= 64


class MediaEraser:
    """Has the generation service erase what executions made; see `eraser.ErasedMedia`."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout_seconds: float) -> None:
        """Use a channel.

        Args:
            channel: To generation; closed by its owner.
            timeout_seconds: For one execution.
        """
        self._stub = generation_grpc.GenerationServiceStub(channel)
        self._timeout_seconds = timeout_seconds

    async def erase(self, execution_id: str) -> None:
        """Remove what an execution made or held and nobody else refers to."""
        await self._delete(generation.DeleteMediaRequest(execution_id=execution_id))

    async def erase_person(self, user_id: str) -> None:
        """Remove what a person uploaded and nobody else refers to."""
        await self._delete(generation.DeleteMediaRequest(user_id=user_id))

    async def _delete(self, request: generation.DeleteMediaRequest) -> None:
        try:
            await self._stub.DeleteMedia(request, timeout=self._timeout_seconds)
        except grpc.RpcError as exc:
            error = remote_error(exc)
            log.warning("media_not_erased", code=error.code, reason=error.reason)
            raise UnavailableError(
                "MEDIA_UNAVAILABLE", "The generation service cannot erase media now."
            ) from exc


class GenerationMedia:
    """Reads media from the generation service, and brings it some.

    They are read by their hash, which only services may do: an export for researchers holds what
    learners never saw.
    """

    def __init__(self, channel: grpc.aio.Channel, *, timeout_seconds: float) -> None:
        """Use a channel.

        Args:
            channel: To generation; closed by its owner.
            timeout_seconds: For one file.
        """
        self._stub = generation_grpc.GenerationServiceStub(channel)
        self._timeout_seconds = timeout_seconds

    async def save(self, media: MediaRef, to: Path) -> bool:
        """Write the bytes of a file; see `MediaReader`."""
        request = generation.ReadMediaRequest(key=generation.MediaKey(sha256=media.sha256))
        digest = hashlib.sha256()
        file = await asyncio.to_thread(to.open, "wb")
        try:
            with file:
                call = self._stub.ReadMedia(request, timeout=deadline(self._timeout_seconds))
                with ending(call) as responses:
                    async for response in responses:
                        digest.update(response.data)
                        await asyncio.to_thread(file.write, response.data)
        except grpc.RpcError as exc:
            error = remote_error(exc)
            if error.code in (Code.NOT_FOUND, Code.INVALID_ARGUMENT):
                return False
            log.warning("media_unreachable", code=error.code, reason=error.reason)
            raise UnavailableError(
                "MEDIA_UNAVAILABLE",
                "The generation service, which keeps the files, does not answer; leave media out "
                "or try again.",
                retry_seconds=5,
            ) from exc
        return digest.hexdigest() == media.sha256

    async def bring(self, path: Path, media: MediaRef, owner: Owner) -> MediaRef | None:
        """Store a file as that of an item; see `MediaStore`."""
        principal = _ITSELF
        if owner.released and all(
            map(_can_travel, (owner.user_id, owner.session_id, owner.group_id))
        ):
            principal = Principal(
                id=owner.user_id or _ITSELF.id,
                role=Role.LEARNER,
                session=owner.session_id or _ITSELF.session,
                group=owner.group_id,
                actor=Role.SERVICE,
            )
        try:
            with acting_as(principal):
                stored = await self._upload(path, media.filename)
                if principal is not _ITSELF:
                    await self._stub.ReleaseMedia(
                        generation.ReleaseMediaRequest(
                            execution_id=owner.execution_id,
                            item_id=owner.item_id,
                            sha256=stored.sha256,
                        ),
                        timeout=deadline(self._timeout_seconds),
                    )
        except grpc.RpcError as exc:
            error = remote_error(exc)
            log.warning("media_not_imported", code=error.code, reason=error.reason)
            if error.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
                raise UnavailableError(
                    "MEDIA_UNAVAILABLE", "The generation service does not answer.", retry_seconds=5
                ) from exc
            return None
        return stored

    async def _upload(self, path: Path, filename: str) -> MediaRef:
        async def parts() -> AsyncIterator[generation.UploadMediaRequest]:
            header = generation.UploadMediaHeader(filename=filename)
            yield generation.UploadMediaRequest(header=header)
            file = await asyncio.to_thread(path.open, "rb")
            with file:
                while data := await asyncio.to_thread(file.read, _PIECE_BYTES):
                    yield generation.UploadMediaRequest(data=data)

        response = await self._stub.UploadMedia(parts(), timeout=deadline(self._timeout_seconds))
        ref = response.media
        return MediaRef(ref.uri, ref.sha256, ref.size_bytes, ref.mime_type, ref.filename)


class GenerationTexts:
    """Has the model of the role `summary` write texts; see `summary.machine.TextWriter`."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout_seconds: float) -> None:
        """Use a channel.

        Args:
            channel: To generation; closed by its owner.
            timeout_seconds: For one text.
        """
        self._stub = generation_grpc.GenerationServiceStub(channel)
        self._timeout_seconds = timeout_seconds

    async def write(self, rules: str, request: str, safety_level: str) -> WrittenText:
        """Ask the model; see `TextWriter`."""
        result = None
        asked = generation.GenerateTextRequest(
            role="summary",
            messages=[
                generation.TextMessage(role="system", content=rules),
                generation.TextMessage(role="user", content=request),
            ],
            parameters=generation.TextParameters(
                temperature=_SUMMARY_TEMPERATURE, max_tokens=_SUMMARY_TOKENS
            ),
            safety_level=level_number(safety_level),
        )
        try:
            call = self._stub.GenerateText(asked, timeout=deadline(self._timeout_seconds))
            with ending(call) as responses:
                async for response in responses:
                    if response.WhichOneof("event") == "result":
                        result = response.result
        except grpc.RpcError as exc:
            error = remote_error(exc)
            is_unmeant = error.reason == "ROLE_NOT_FOUND"
            raise NoTextError("NO_MODEL" if is_unmeant else error.reason or error.code) from exc
        if result is None:
            raise NoTextError("MODEL_ANSWER_INVALID")
        return WrittenText(result.text, result.model, _tokens(result))


def _tokens(result: generation.TextResult) -> int | None:
    counts = [
        getattr(result, field)
        for field in ("prompt_token_count", "completion_token_count")
        if result.HasField(field)
    ]
    return sum(counts) if counts else None

"""What the tracker asks of its neighbour generation: the bytes of media, and to erase them."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import grpc
import structlog

from servicekit.channel import deadline, ending
from servicekit.errors import Code, UnavailableError, remote_error
from stellwerk.generation.v1 import generation_service_pb2 as generation
from stellwerk.generation.v1 import generation_service_pb2_grpc as generation_grpc

if TYPE_CHECKING:
    from pathlib import Path

    from tracker_service.items import MediaRef

log = structlog.get_logger(__name__)


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
        request = generation.DeleteMediaRequest(execution_id=execution_id)
        try:
            await self._stub.DeleteMedia(request, timeout=self._timeout_seconds)
        except grpc.RpcError as exc:
            error = remote_error(exc)
            log.warning("media_not_erased", code=error.code, reason=error.reason)
            raise UnavailableError(
                "MEDIA_UNAVAILABLE", "The generation service cannot erase media now."
            ) from exc


class GenerationMedia:
    """Reads media from the generation service.

    They are named by their hash, which only services may do: an export for researchers holds what
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

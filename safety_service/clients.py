"""What this service asks of its neighbour generation: the bytes of pictures."""

from __future__ import annotations

import grpc
import structlog

from safety_service.images import MediaTooLargeError, MediaUnreachableError
from servicekit.channel import deadline, ending
from servicekit.errors import Code, remote_error
from stellwerk.generation.v1 import generation_service_pb2 as generation
from stellwerk.generation.v1 import generation_service_pb2_grpc as generation_grpc

log = structlog.get_logger(__name__)


class GenerationMediaReader:
    """Reads media from the generation service, as the service role also unreleased ones."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout_seconds: float) -> None:
        """Use a channel.

        Args:
            channel: To generation; closed by its owner.
            timeout_seconds: For one file.
        """
        self._stub = generation_grpc.GenerationServiceStub(channel)
        self._timeout_seconds = timeout_seconds

    async def read(self, sha256: str, max_bytes: int) -> bytes:
        """Fetch a file; see `MediaReader`."""
        request = generation.ReadMediaRequest(key=generation.MediaKey(sha256=sha256))
        content = bytearray()
        try:
            call = self._stub.ReadMedia(request, timeout=deadline(self._timeout_seconds))
            with ending(call) as responses:
                async for response in responses:
                    content += response.data
                    if len(content) > max_bytes:
                        raise MediaTooLargeError
        except grpc.RpcError as exc:
            error = remote_error(exc)
            log.warning("media_unreachable", code=error.code, reason=error.reason)
            missing = error.code is Code.NOT_FOUND
            raise MediaUnreachableError("not_found" if missing else "unreachable") from exc
        return bytes(content)

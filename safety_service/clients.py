"""What this service asks of its neighbour generation: the bytes of pictures, and guard models."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import structlog

from safety_service.guards.interface import GuardFailedError, GuardModel, PromptForm
from safety_service.images import MediaTooLargeError, MediaUnreachableError
from servicekit.channel import deadline, ending, retry_unavailable
from servicekit.errors import Code, remote_error
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation
from stellwerk.generation.v1 import generation_service_pb2_grpc as generation_grpc

if TYPE_CHECKING:
    from safety_service.guards.interface import GuardPrompt
    from safety_service.model import Level

_FORMS = {
    PromptForm.CHAT: generation.PROMPT_FORM_CHAT,
    PromptForm.RAW: generation.PROMPT_FORM_RAW,
    PromptForm.MODERATION: generation.PROMPT_FORM_MODERATION,
}
_RESOLVE_SECONDS = 5.0
_MEDIA_ATTEMPTS = 8
"""Within about three seconds: longer than the longest pause of a channel between two attempts to
connect, shorter than the orchestrator waits for a verdict."""
_WHOLE = "stop"  # why an answer ended that is not cut off

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
        """Fetch a file; see `MediaReader`.

        A neighbour that has just been restarted is waited for: pictures are checked in the moment
        in which they are made, and everybody's would be withheld.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await retry_unavailable(
                    lambda: self._fetch(sha256, max_bytes), attempts=_MEDIA_ATTEMPTS
                )
        except TimeoutError as exc:
            log.warning("media_unreachable", code=Code.DEADLINE_EXCEEDED, reason="")
            raise MediaUnreachableError("unreachable") from exc
        except grpc.RpcError as exc:
            error = remote_error(exc)
            log.warning("media_unreachable", code=error.code, reason=error.reason)
            missing = error.code is Code.NOT_FOUND
            raise MediaUnreachableError("not_found" if missing else "unreachable") from exc

    async def _fetch(self, sha256: str, max_bytes: int) -> bytes:
        request = generation.ReadMediaRequest(key=generation.MediaKey(sha256=sha256))
        content = bytearray()
        call = self._stub.ReadMedia(request, timeout=deadline(self._timeout_seconds))
        with ending(call) as responses:
            async for response in responses:
                content += response.data
                if len(content) > max_bytes:
                    raise MediaTooLargeError
        return bytes(content)


class GenerationGuards:
    """Guard models behind the generation service; a `GuardModels`."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout_seconds: float) -> None:
        """Use a channel.

        Args:
            channel: To generation; closed by its owner.
            timeout_seconds: For one answer.
        """
        self._stub = generation_grpc.GenerationServiceStub(channel)
        self._timeout_seconds = timeout_seconds

    async def resolve(self, role: str) -> GuardModel:
        """Tell which model a role means; see `GuardModels`."""
        request = generation.ResolveRoleRequest(role=role)
        try:
            found = await self._stub.ResolveRole(request, timeout=deadline(_RESOLVE_SECONDS))
        except grpc.RpcError as exc:
            raise _failure(exc) from exc
        return GuardModel(found.model, found.guard, found.server_template)

    async def ask(self, role: str, model: GuardModel, prompt: GuardPrompt, level: Level) -> str:
        """Ask a model; see `GuardModels`."""
        request = _request(role, model, prompt, level)
        result = None
        try:
            call = self._stub.GenerateText(request, timeout=deadline(self._timeout_seconds))
            with ending(call) as responses:
                async for response in responses:
                    if response.WhichOneof("event") == "result":
                        result = response.result
        except grpc.RpcError as exc:
            raise _failure(exc) from exc
        if result is None or result.finish_reason != _WHOLE:
            raise GuardFailedError("half_an_answer")
        if result.model != model.name:
            raise GuardFailedError("wrong_model")
        return result.text


def _request(
    role: str, model: GuardModel, prompt: GuardPrompt, level: Level
) -> generation.GenerateTextRequest:
    said = generation.TextMessage(role="user", content=prompt.text)
    if prompt.picture:
        said.pictures.add(mime_type="image/jpeg", data=prompt.picture)
    told = [generation.TextMessage(role="system", content=prompt.system)] if prompt.system else []
    return generation.GenerateTextRequest(
        role=role,
        model=model.name,
        messages=[*told, said],
        prompt_form=_FORMS[prompt.form],
        safety_level=types_pb2.SafetyLevel.Value(f"SAFETY_LEVEL_{level.name}"),
        parameters=generation.TextParameters(temperature=0.0, seed=0, max_tokens=prompt.max_tokens),
    )


def _failure(exc: grpc.RpcError) -> GuardFailedError:
    error = remote_error(exc)
    return GuardFailedError((error.reason or error.code).lower())

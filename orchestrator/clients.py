"""The other services as the stages see them: typed calls with limits, and failures with a reason.

A failure of a neighbour never reaches a person as a gRPC status: it becomes a `StageFailure`, which
ends the execution, or one output, in a recorded state.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import grpc
import structlog

from orchestrator.converters import generation, verdicts, words
from orchestrator.model import StageFailure
from orchestrator.ports import JobFinished, TextDelta
from servicekit.channel import deadline, ending, retry_unavailable
from servicekit.errors import Code, NotFoundError, RemoteError, UnavailableError, remote_error
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.safety.v1 import safety_service_pb2 as safety_pb2
from stellwerk.safety.v1.safety_service_pb2_grpc import SafetyServiceStub

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Iterator,
        Sequence,
    )
    from typing import TypeVar

    from orchestrator.model import Direction, MediaFile, SafetyLevel, Verdict
    from orchestrator.ports import JobEvent, MediaRequest, TextAnswer, TextRequest

    T = TypeVar("T")

log = structlog.get_logger(__name__)

RETRY_SECONDS = 2.0
MODELS_FRESH_SECONDS = 30.0
"""How long an answer about a role's model is believed."""
RESOLVE_SECONDS = 0.5
RELEASE_SECONDS = 10.0
REATTACH_PAUSE_SECONDS = 0.25
JOB_LEFT = "JOB_LEFT"
"""Why a job ended whose caller had gone: not ours, as we are here."""
MOST_LEFT = 80
"""How often such a job is asked for anew, some 20 seconds long, before its end is passed on."""
UNTIL_THE_LIMIT = 10_000
"""Attempts where only the time counts."""
MAX_TEXTS_IN_CALL = 64
_UNKNOWN = (-math.inf, "")


class SafetyClient:
    """Asks the safety service; no answer within the limit is SAFETY_UNAVAILABLE, never ALLOW."""

    def __init__(self, channel: grpc.aio.Channel, limit_seconds: float) -> None:
        self._stub = SafetyServiceStub(channel)
        self._limit_seconds = limit_seconds

    async def check_texts(
        self,
        texts: Sequence[tuple[str, str]],
        *,
        level: SafetyLevel,
        direction: Direction,
        media_type: str = "",
    ) -> list[Verdict]:
        """See `ports.Safety`."""
        requests = [
            safety_pb2.CheckTextRequest(
                text=text,
                language=language,
                safety_level=words.LEVELS[level],
                direction=words.DIRECTIONS[direction],
                media_type=words.MEDIA_TYPES[media_type],
            )
            for text, language in texts
        ]
        answers: list[Verdict] = []
        for start in range(0, len(requests), MAX_TEXTS_IN_CALL):
            batch = safety_pb2.CheckTextsRequest(
                requests=requests[start : start + MAX_TEXTS_IN_CALL]
            )
            call = partial(self._stub.CheckTexts, batch, timeout=deadline(self._limit_seconds))
            response = await self._ask(call)
            answers += [verdicts.verdict_from_proto(each) for each in response.verdicts]
        if len(answers) != len(requests):
            raise _safety_unavailable("The safety service answered nonsense")
        return answers

    async def check_image(
        self, media: MediaFile, *, level: SafetyLevel, direction: Direction, photographic: bool
    ) -> Verdict:
        """See `ports.Safety`."""
        request = safety_pb2.CheckImageRequest(
            media=words.media_to_proto(media),
            safety_level=words.LEVELS[level],
            direction=words.DIRECTIONS[direction],
            photographic=photographic,
        )
        response = await self._ask(
            lambda: self._stub.CheckImage(request, timeout=deadline(self._limit_seconds))
        )
        return verdicts.verdict_from_proto(response.verdict)

    async def policy_version(self, level: SafetyLevel) -> str:
        """See `ports.Safety`."""
        request = safety_pb2.GetPolicyRequest(safety_level=words.LEVELS[level])
        response = await self._ask(
            lambda: self._stub.GetPolicy(request, timeout=deadline(self._limit_seconds))
        )
        return response.policy_version

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call, and again while unreachable, within the limit."""
        try:
            async with asyncio.timeout(self._limit_seconds):
                return await retry_unavailable(call, attempts=UNTIL_THE_LIMIT)
        except TimeoutError as exc:
            raise _safety_unavailable("The safety service did not answer in time") from exc
        except grpc.RpcError as exc:
            error = remote_error(exc)
            if error.code is Code.INVALID_ARGUMENT:
                raise StageFailure(error.reason, error.message, recoverable=False) from exc
            log.warning("safety_unavailable", grpc_code=error.code, reason=error.reason)
            raise _safety_unavailable("The safety service could not be asked") from exc


def _safety_unavailable(what: str) -> StageFailure:
    return StageFailure(
        "SAFETY_UNAVAILABLE", f"{what}, so nothing was made; try again in a moment."
    )


class GenerationClient:
    """Asks the generation service for texts and media."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        text_seconds: float,
        media_seconds: float,
        reattach_seconds: float,
    ) -> None:
        self._stub = GenerationServiceStub(channel)
        self._reattach_seconds = reattach_seconds
        self._text_seconds = text_seconds
        self._media_seconds = media_seconds
        self._models: dict[str, tuple[float, str]] = {}

    async def generate_text(
        self, request: TextRequest
    ) -> AsyncGenerator[TextDelta | TextAnswer, None]:
        """See `ports.Generation`.

        A service that goes away is waited for a while, and asked anew: what it had begun to answer
        is to be forgotten then.
        """
        message = generation.text_request_to_proto(request)
        give_up = math.inf
        while True:
            begun = False
            call = self._stub.GenerateText(message, timeout=deadline(self._text_seconds))
            try:
                with ending(call):
                    async for response in call:
                        begun = True
                        yield generation.text_event_from_proto(response)
                return
            except grpc.RpcError as exc:
                error = remote_error(exc)
                # Never put off again: a service that dies of each answer is not asked for ever.
                give_up = min(give_up, time.monotonic() + self._reattach_seconds)
                away = error.code is Code.UNAVAILABLE and error.reason in ("", "DRAINING")
                if not away or time.monotonic() >= give_up:
                    _raise_generation_failure(error, exc)
                log.warning("text_stream_broken", begun=begun, reason=error.reason)
            if begun:
                yield TextDelta("", restart=True)
            await asyncio.sleep(REATTACH_PAUSE_SECONDS)

    async def generate_media(self, request: MediaRequest) -> AsyncGenerator[JobEvent, None]:
        """See `ports.Generation`.

        A job outlives its service: the same key finds it again after a restart, so a broken stream
        is taken up anew for a while before the output is given up. It outlives us, too: who takes
        our execution up finds it, unless it was just ended since we had gone; then it begins anew.
        """
        message = generation.media_request_to_proto(request)
        give_up, left, left_count = math.inf, False, 0
        while True:
            call = self._stub.GenerateMedia(message, timeout=deadline(self._media_seconds))
            try:
                with ending(call):
                    async for response in call:
                        give_up = math.inf
                        event = generation.job_event_from_proto(response)
                        left = isinstance(event, JobFinished) and event.error_reason == JOB_LEFT
                        left = left and left_count < MOST_LEFT
                        if event is not None and not left:
                            yield event
                if not left:
                    return
                left_count += 1
                log.warning("job_left_before")
            except grpc.RpcError as exc:
                error = remote_error(exc)
                give_up = min(give_up, time.monotonic() + self._reattach_seconds)
                if error.code is not Code.UNAVAILABLE or time.monotonic() >= give_up:
                    _raise_generation_failure(error, exc)
                log.warning("job_stream_broken", reason=error.reason)
            await asyncio.sleep(REATTACH_PAUSE_SECONDS)

    async def release_media(self, execution_id: str, item_id: str, sha256: str) -> None:
        """See `ports.Generation`."""
        request = generation_pb2.ReleaseMediaRequest(
            execution_id=execution_id, item_id=item_id, sha256=sha256
        )
        with _generation_failures():
            # What was made would be lost for a restart in this moment: a minute is waited for it.
            await retry_unavailable(
                lambda: self._stub.ReleaseMedia(request, timeout=RELEASE_SECONDS), attempts=80
            )

    async def media_info(self, sha256: str) -> MediaFile:
        """See `ports.Generation`."""
        request = generation_pb2.GetMediaInfoRequest(key=generation_pb2.MediaKey(sha256=sha256))
        try:
            response = await self._stub.GetMediaInfo(request, timeout=deadline(RELEASE_SECONDS))
        except grpc.RpcError as exc:
            error = remote_error(exc)
            if error.code in (Code.NOT_FOUND, Code.INVALID_ARGUMENT):
                raise NotFoundError(
                    "MEDIA_NOT_FOUND",
                    "There is no such picture, or it is not yours; upload it.",
                    field="images",
                ) from exc
            raise UnavailableError(
                "GENERATION_UNAVAILABLE",
                "Pictures cannot be looked up right now; try again in a moment.",
                retry_seconds=RETRY_SECONDS,
            ) from exc
        return words.media_from_proto(response.media)

    async def resolve(self, roles: Sequence[str]) -> dict[str, str]:
        """See `plans.Models`: what cannot be found out now is left out."""
        old = time.monotonic() - MODELS_FRESH_SECONDS
        stale = [role for role in roles if self._models.get(role, _UNKNOWN)[0] <= old]
        if stale:
            await asyncio.gather(*map(self._look_up, stale))
        models = {role: self._models.get(role, _UNKNOWN)[1] for role in roles}
        return {role: model for role, model in models.items() if model}

    async def _look_up(self, role: str) -> None:
        with suppress(grpc.RpcError):
            response = await self._stub.ResolveRole(
                generation_pb2.ResolveRoleRequest(role=role), timeout=deadline(RESOLVE_SECONDS)
            )
            self._models[role] = time.monotonic(), response.model


@contextmanager
def _generation_failures() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as exc:
        _raise_generation_failure(remote_error(exc), exc)


def _raise_generation_failure(error: RemoteError, exc: BaseException) -> NoReturn:
    if not error.reason:
        # From the transport, not from the service: it is away, or took longer than we wait.
        late = error.code is Code.DEADLINE_EXCEEDED
        raise StageFailure(
            "GENERATION_TIMEOUT" if late else "GENERATION_UNAVAILABLE",
            "The generation service did not answer in time; try again later."
            if late
            else "The generation service cannot be reached; try again in a moment.",
        ) from exc
    recoverable = error.code in (
        Code.UNAVAILABLE,
        Code.RESOURCE_EXHAUSTED,
        Code.DEADLINE_EXCEEDED,
    )
    raise StageFailure(
        error.reason,
        error.message,
        recoverable=recoverable,
        details=tuple(f"{field}: {text}" for field, text in error.violations),
    ) from exc

"""A generation service that goes away in the middle of an answer, and is asked anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from orchestrator.clients import GenerationClient
from orchestrator.model import SafetyLevel, StageFailure
from orchestrator.ports import TextAnswer, TextDelta, TextRequest
from servicekit.errors import UnavailableError
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk.generation.v1 import generation_service_pb2_grpc as pb_grpc
from tests.support import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from servicekit.server import Owned, ServiceNames

REQUEST = TextRequest("interception", (("user", "Eine Blume"),), {}, "e1", SafetyLevel.ADULT)


class Breaking(pb_grpc.GenerationServiceServicer):
    """Breaks off after the first word of its first answers.

    Attributes:
        breaks: How many answers are still to break off.
        reason: Why; empty: as the transport says it.
    """

    breaks = 1
    reason = ""

    async def GenerateText(
        self,
        request: pb.GenerateTextRequest,
        context: grpc.aio.ServicerContext[pb.GenerateTextRequest, pb.GenerateTextResponse],
    ) -> AsyncIterator[pb.GenerateTextResponse]:
        yield pb.GenerateTextResponse(delta=pb.TextDelta(text="Eine "))
        if self.breaks:
            self.breaks -= 1
            if not self.reason:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            raise UnavailableError(self.reason, "Not now.")
        yield pb.GenerateTextResponse(delta=pb.TextDelta(text="Blume."))
        yield pb.GenerateTextResponse(result=pb.TextResult(text="Eine Blume."))

    async def register(self, server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        pb_grpc.add_GenerationServiceServicer_to_server(self, server)
        return ["stellwerk.generation.v1.GenerationService"]


async def answer_of(service: Breaking, reattach_seconds: float = 30.0) -> list[object]:
    """All that the orchestrator hears of an answer."""
    async with serving(service.register) as channel:
        client = GenerationClient(
            channel, text_seconds=30, media_seconds=30, reattach_seconds=reattach_seconds
        )
        return [piece async for piece in client.generate_text(REQUEST)]


@pytest.fixture
def service() -> Breaking:
    """A service that breaks off once."""
    return Breaking()  # type: ignore[abstract]  # other RPCs are UNIMPLEMENTED


@pytest.mark.parametrize("reason", ["", "DRAINING"])
async def test_a_broken_answer_is_begun_anew(service: Breaking, reason: str) -> None:
    """What was written is taken back, and the whole answer comes."""
    service.reason = reason
    *pieces, answer = await answer_of(service)
    assert pieces == [
        TextDelta("Eine "),
        TextDelta("", restart=True),
        TextDelta("Eine "),
        TextDelta("Blume."),
    ]
    assert isinstance(answer, TextAnswer)
    assert answer.text == "Eine Blume."


async def test_an_answer_that_always_breaks_is_given_up(service: Breaking) -> None:
    """A service that dies of a question is not asked for ever."""
    service.breaks = 1_000_000
    with pytest.raises(StageFailure, match="GENERATION_UNAVAILABLE"):
        await answer_of(service, reattach_seconds=1.0)


async def test_a_model_that_fails_is_not_asked_anew(service: Breaking) -> None:
    """Only the service's absence is waited for; what it says itself is believed."""
    service.reason = "MODEL_UNAVAILABLE"
    with pytest.raises(StageFailure, match="MODEL_UNAVAILABLE"):
        await answer_of(service)

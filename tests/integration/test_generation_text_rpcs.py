"""The text RPCs between the wire and whatever answers them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


from tests.integration.generation import Echo, Stub, generation


@pytest.fixture
def text() -> Echo:
    """Stands in for the language models, which have tests of their own."""
    return Echo()


@pytest.fixture
async def stub(tmp_path: Path, text: Echo) -> AsyncIterator[Stub]:
    """A client of a service that asks `text`."""
    async with generation(tmp_path, text) as stub:
        yield stub


async def test_text_passes_through_unchanged(stub: Stub) -> None:
    """What is asked and answered crosses the wire byte for byte."""
    assert (await stub.ResolveRole(pb.ResolveRoleRequest(role="x"))).model == "echo/x"
    question = [pb.TextMessage(role="user", content="Grüße {{A}}\n")]
    request = pb.GenerateTextRequest(
        role="x", messages=question, parameters=pb.TextParameters(seed=2**64 - 1)
    )
    pieces = [piece async for piece in stub.GenerateText(request)]
    assert pieces[0].delta.text == "Grüße {{A}}\n"
    result = pieces[-1].result
    assert list(result.messages) == question
    assert json.loads(result.parameters_json) == {"seed": 2**64 - 1}
    assert not result.HasField("prompt_token_count")
    assert result.run_duration.ToTimedelta().total_seconds() == 1.5


async def test_leaving_a_text_closes_the_stream_to_the_model(stub: Stub, text: Echo) -> None:
    """No model goes on writing for a caller who left."""
    request = pb.GenerateTextRequest(
        messages=[pb.TextMessage(role="user", content="a")],
        parameters=pb.TextParameters(max_tokens=1),
    )
    call = stub.GenerateText(request)
    await anext(aiter(call))
    assert not text.left
    call.cancel()
    await eventually(lambda: text.left)

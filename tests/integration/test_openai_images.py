"""Pictures of a picture service, through the front door and the queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from stellwerk.common.v1.types_pb2 import SAFETY_LEVEL_ADULT, SAFETY_LEVEL_KIDS
from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.fakes.openai_images import FakeImageService, ImageFault
from tests.integration.generation import Echo, Stub, generation, order, refused, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stellwerk.common.v1.types_pb2 import SafetyLevel

MODEL = "images/gpt-image-1"


@pytest.fixture
async def service() -> AsyncIterator[FakeImageService]:
    """A picture service."""
    async with FakeImageService() as service:
        yield service


@pytest.fixture
async def stub(tmp_path: Path, service: FakeImageService) -> AsyncIterator[Stub]:
    """A client of a generation service that knows the picture service."""
    options = {"openai_images_base_url": f"{service.url}/v1", "openai_images_api_key": "secret"}
    async with generation(tmp_path, Echo(), options=options) as stub:
        yield stub


def wish(
    level: SafetyLevel.ValueType = SAFETY_LEVEL_ADULT, **extra: object
) -> pb.GenerateMediaRequest:
    return order(
        "A whale",
        backend="openai_images",
        model=MODEL,
        parameters=pb.MediaParameters(extra_json=json.dumps(extra).encode()),
        safety_level=level,
    )


async def test_picture_is_made_and_kept_withheld(stub: Stub, service: FakeImageService) -> None:
    """A picture of the service is stored, may look real, and what it was made with is told."""
    events = await run(stub, wish(size="1024x1024", sparkle=True))
    made, end = events[-2].output, events[-1].finished
    assert end.state == pb.JOB_STATE_DONE
    assert made.photographic
    assert made.media.mime_type == "image/png"
    assert (end.backend, end.model) == ("openai_images", f"openai_images/{MODEL}")
    assert json.loads(end.parameters_json) == {"size": "1024x1024"}
    assert [warning.split()[0] for warning in end.warnings] == ["sparkle"]
    assert "Revised: A whale" in list(end.texts)
    assert end.backend_job_id == "img-1"
    assert service.requests[0].headers["authorization"] == "Bearer secret"


async def test_refused_prompt_fails_once(stub: Stub, service: FakeImageService) -> None:
    """A prompt that the service's rules forbid is not tried again, and the reason is told."""
    service.fault = ImageFault.PROMPT_REFUSED
    end = (await run(stub, wish()))[-1].finished
    assert (end.state, end.error_reason) == (pb.JOB_STATE_FAILED, "PROMPT_REFUSED")
    assert len(service.requests) == 1


async def test_without_a_service_the_backend_is_not_there(tmp_path: Path) -> None:
    """Where nobody set an address, asking for the backend is refused."""
    async with generation(tmp_path, Echo()) as stub:
        call = stub.GenerateMedia(wish())
        assert (await refused(anext(aiter(call)))).reason == "BACKEND_NOT_FOUND"


async def test_wishes_of_children_stay_on_the_site(stub: Stub, service: FakeImageService) -> None:
    """A prompt at level kids is refused before it reaches the service outside."""
    call = stub.GenerateMedia(wish(SAFETY_LEVEL_KIDS))
    assert (await refused(anext(aiter(call)))).reason == "OFFSITE_NOT_ALLOWED"
    assert not service.requests

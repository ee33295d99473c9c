"""The backend `openai_images` against a service that behaves, and that does not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from generation_service.backends.interface import (
    AttemptFailedError,
    MediaModelNotFoundError,
    MediaParameters,
    MediaPlan,
    MediaRequest,
)
from generation_service.backends.openai_images.backend import OpenAIImagesBackend
from generation_service.backends.openai_images.driver import OpenAIImagesDriver
from generation_service.backends.openai_images.options import ImageServiceOptions
from generation_service.queue.jobs import Job
from servicekit.errors import InvalidArgumentError
from servicekit.principals import Principal, Role
from tests.fakes.openai_images import Delivery, FakeImageService, ImageFault, picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

IMAGES = "images/gpt-image-1"
CHAT = "chat/google/some-image-model"


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[FakeImageService, OpenAIImagesBackend]]:
    async with FakeImageService() as service:
        backend = OpenAIImagesBackend(
            ImageServiceOptions(f"{service.url}/v1", api_key="secret", **options)
        )
        try:
            yield service, backend
        finally:
            await backend.close()


def request(model: str = IMAGES, prompt: str = "Whale", **extra: Any) -> MediaRequest:
    parameters = MediaParameters(seed=7, extra=extra)
    return MediaRequest(model=model, media_type="image", prompt=prompt, parameters=parameters)


async def make(backend: OpenAIImagesBackend, model: str = IMAGES) -> tuple[bytes, ...]:
    files = await backend.make(backend.plan(request(model)), lambda percent, node: None)
    return tuple(file.data for file in files)


async def test_images_api_is_asked_as_planned() -> None:
    """Model, prompt and the parameters that it knows are sent with the key; the rest is told."""
    async with serving() as (service, backend):
        plan = backend.plan(request(size="1024x1024", quality="low", sharpness=3))
        pictures = await backend.ask(plan)
    assert service.requests[0].path == "/v1/images/generations"
    assert service.requests[0].headers["authorization"] == "Bearer secret"
    assert service.requests[0].body == {
        "model": "gpt-image-1",
        "prompt": "Whale",
        "n": 1,
        "size": "1024x1024",
        "quality": "low",
    }
    assert plan.applied == {"size": "1024x1024", "quality": "low"}
    assert [text.split()[0] for text in plan.warnings] == ["sharpness", "seed"]
    assert [file.data for file in pictures.files] == [picture("Whale")]
    assert (pictures.texts, pictures.request_id) == (("Revised: Whale",), "img-1")


async def test_other_models_are_asked_for_base64() -> None:
    """Models that would answer with an address by default are asked not to."""
    async with serving() as (service, backend):
        await make(backend, "images/dall-e-3")
    assert service.requests[0].body["response_format"] == "b64_json"


async def test_chat_api_gives_its_pictures() -> None:
    """A chat answer's picture is taken, with what was said beside it; it knows the seed."""
    async with serving() as (service, backend):
        service.delivery = Delivery.DATA_URL
        plan = backend.plan(request(CHAT, aspect_ratio="16:9"))
        pictures = await backend.ask(plan)
    body = service.requests[0].body
    assert service.requests[0].path == "/v1/chat/completions"
    assert (body["model"], body["seed"]) == ("google/some-image-model", 7)
    assert body["messages"] == [{"role": "user", "content": "Whale"}]
    assert (body["modalities"], body["image_config"]) == (
        ["image", "text"],
        {"aspect_ratio": "16:9"},
    )
    assert [file.data for file in pictures.files] == [picture("Whale")]
    assert (pictures.texts, pictures.request_id) == (("Here it is.",), "gen-1")


@pytest.mark.parametrize("model", [IMAGES, CHAT])
async def test_address_of_the_service_itself_is_fetched_without_the_key(model: str) -> None:
    """A picture that is named by an address is fetched from the service, its key left at home."""
    async with serving() as (service, backend):
        service.delivery = Delivery.URL
        assert await make(backend, model) == (picture("Whale"),)
    assert "authorization" not in service.fetched[0]


async def test_width_and_height_become_the_size() -> None:
    """Two numbers are written as services want them."""
    async with serving() as (_, backend):
        parameters = MediaParameters(width=1024, height=1536)
        plan = backend.plan(MediaRequest(IMAGES, "image", "Whale", parameters))
    assert (plan.applied, plan.warnings) == ({"size": "1024x1536"}, ())


@pytest.mark.parametrize(
    ("model", "media_type"),
    [("gpt-image-1", "image"), ("images/", "image"), ("audio/x", "image"), (IMAGES, "video")],
)
async def test_unknown_api_or_medium_is_not_found(model: str, media_type: str) -> None:
    """A model without its API, and any medium but pictures, is not there."""
    async with serving() as (_, backend):
        with pytest.raises(MediaModelNotFoundError):
            backend.plan(MediaRequest(model, media_type, "Whale"))


@pytest.mark.parametrize("extra", [None, {"size": [1, 2]}, {"quality": {"a": 1}}])
async def test_nonsense_parameters_are_refused(extra: Any) -> None:
    """Parameters that are no object, or values that are no scalars, are refused at once."""
    async with serving() as (_, backend):
        with pytest.raises(InvalidArgumentError):
            backend.plan(MediaRequest(IMAGES, "image", "Whale", MediaParameters(extra=extra)))


FAULTS = [
    (ImageFault.ERROR_500, "IMAGE_SERVICE_UNAVAILABLE", True),
    (ImageFault.BUSY_429, "IMAGE_SERVICE_UNAVAILABLE", True),
    (ImageFault.ERROR_IN_OK, "IMAGE_SERVICE_UNAVAILABLE", True),
    (ImageFault.HANG, "IMAGE_SERVICE_UNAVAILABLE", True),
    (ImageFault.NO_KEY_401, "IMAGE_SERVICE_KEY_REFUSED", False),
    (ImageFault.NO_MONEY_402, "IMAGE_SERVICE_REFUSED", False),
    (ImageFault.BAD_REQUEST_400, "IMAGE_SERVICE_REFUSED", False),
    (ImageFault.PROMPT_REFUSED, "PROMPT_REFUSED", False),
    (ImageFault.NONSENSE, "IMAGE_SERVICE_ANSWER_INVALID", False),
    (ImageFault.NO_PICTURE, "IMAGE_SERVICE_ANSWER_INVALID", False),
    (ImageFault.NO_BASE64, "IMAGE_SERVICE_ANSWER_INVALID", False),
    (ImageFault.TEXT_AS_PICTURE, "IMAGE_SERVICE_ANSWER_INVALID", False),
    (ImageFault.ENDLESS, "IMAGE_SERVICE_ANSWER_INVALID", False),
]


@pytest.mark.parametrize(("fault", "reason", "again"), FAULTS, ids=lambda value: str(value))
async def test_fault_of_the_service_is_told_apart(
    fault: ImageFault, reason: str, again: bool
) -> None:
    """Each fault has its reason, says whether to try again, and never repeats the prompt."""
    limit = 0.5 if fault is ImageFault.HANG else 30.0
    async with serving(total_seconds=limit, max_answer_bytes=200_000) as (service, backend):
        service.fault = fault
        with pytest.raises(AttemptFailedError) as caught:
            await make(backend)
    assert (caught.value.reason, caught.value.worth_retrying) == (reason, again)
    assert "Whale" not in str(caught.value)


async def test_too_large_picture_is_refused() -> None:
    """A picture over the limit is refused, however it comes."""
    async with serving(max_picture_bytes=100) as (service, backend):
        service.edge = 400
        for service.delivery in (Delivery.BASE64, Delivery.URL):
            with pytest.raises(AttemptFailedError) as caught:
                await make(backend)
            assert caught.value.message == "The picture is too large."


async def test_silent_service_is_unavailable() -> None:
    """A service that is not there is worth another try."""
    async with serving() as (service, _):
        gone = service.url
    backend = OpenAIImagesBackend(ImageServiceOptions(gone))
    with pytest.raises(AttemptFailedError) as caught:
        await make(backend)
    await backend.close()
    assert caught.value.worth_retrying


async def test_driver_tells_rewritten_prompts_with_the_files() -> None:
    """As a worker of the queue it hands on the pictures, the texts and the service's id."""
    async with serving() as (_, backend):
        plan: MediaPlan = backend.plan(request())
        owner = Principal(id="p", role=Role.LEARNER, session="s", group="", actor=Role.LEARNER)
        job = Job("j", owner, "e", 1, "openai_image", "", plan)
        made = await OpenAIImagesDriver("service-1", backend).run(job, "a", lambda _: None)
    assert [file.data for file in made.files] == [picture("Whale")]
    assert (made.facts.texts, made.facts.backend_job_id) == (("Revised: Whale",), "img-1")

"""The picture service as settings open it."""

from __future__ import annotations

import pytest

from generation_service.backends.openai_images.settings import (
    ImageServiceSettings,
    open_image_service,
)
from servicekit.settings import ConfigurationError


def settings(**values: object) -> ImageServiceSettings:
    return ImageServiceSettings.model_validate({"listen_address": "127.0.0.1:0", **values})


def test_without_an_address_it_is_off() -> None:
    """Nobody's prompts leave the site unless somebody said where to."""
    assert open_image_service(settings()) is None


async def test_each_slot_is_a_worker() -> None:
    """There are as many places as pictures may be made at once, all of one backend."""
    opened = open_image_service(
        settings(openai_images_base_url="https://api.example/v1", openai_images_slots=3)
    )
    assert opened is not None
    backend, drivers = opened
    await backend.close()
    assert [driver.name for driver in drivers] == [f"openai_images-{n}" for n in (1, 2, 3)]
    assert {(driver.backend, driver.address) for driver in drivers} == {
        ("openai_images", "https://api.example/v1")
    }


def test_address_without_scheme_is_a_fault() -> None:
    """A base URL that is none stops the service at its start."""
    with pytest.raises(ConfigurationError):
        open_image_service(settings(openai_images_base_url="api.example/v1"))

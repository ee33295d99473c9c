"""Settings about the picture service; part of the generation service's."""

from __future__ import annotations

from pydantic import Field, SecretStr

from generation_service.backends.openai_images.backend import OpenAIImagesBackend
from generation_service.backends.openai_images.driver import OpenAIImagesDriver
from generation_service.backends.openai_images.options import ImageServiceOptions
from servicekit.settings import ConfigurationError, ServiceSettings


class ImageServiceSettings(ServiceSettings):
    """What the backend `openai_images` can be told."""

    openai_images_base_url: str = Field(
        "",
        description="Base URL of a service that makes pictures by OpenAI's API, such as "
        "`https://api.openai.com/v1`. Empty: there is none. Prompts leave the site.",
    )
    openai_images_api_key: SecretStr | None = Field(None, description="Its key. Unset: none.")
    openai_images_download_hosts: str = Field(
        "",
        description="Hosts besides its own from which its pictures may be fetched over HTTPS, "
        "`cdn.example.org,.blobs.example.org`; a dot in front allows every host below.",
    )
    openai_images_slots: int = Field(
        2, ge=1, le=64, description="Pictures that it makes for us at the same time."
    )
    openai_images_seconds: float = Field(
        180.0, gt=0, le=3600, description="Longest time for one of its pictures, in seconds."
    )


def open_image_service(
    settings: ImageServiceSettings, host: str = ""
) -> tuple[OpenAIImagesBackend, tuple[OpenAIImagesDriver, ...]] | None:
    """Make the backend, which the caller closes, and its places as workers; None: it is off.

    Args:
        settings: The service and how many may ask it at once.
        host: Name of this process, where there are others with workers.

    Raises:
        ConfigurationError: The base URL is none.
    """
    base_url = settings.openai_images_base_url.strip()
    if not base_url:
        return None
    if not base_url.startswith(("http://", "https://")):
        raise ConfigurationError("OPENAI_IMAGES_BASE_URL must begin with https:// or http://.")
    key = settings.openai_images_api_key
    hosts = settings.openai_images_download_hosts.split(",")
    options = ImageServiceOptions(
        base_url,
        api_key=key.get_secret_value() if key else "",
        download_hosts=tuple(host.strip() for host in hosts if host.strip()),
        total_seconds=settings.openai_images_seconds,
    )
    backend = OpenAIImagesBackend(options)
    places = range(1, settings.openai_images_slots + 1)
    after = f"@{host}" if host else ""
    return backend, tuple(
        OpenAIImagesDriver(f"{backend.name}-{number}{after}", backend, address=base_url)
        for number in places
    )

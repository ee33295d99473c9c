"""Addresses that an answer names: which are asked, how, and which never."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from generation_service.backends.interface import AttemptFailedError
from generation_service.backends.openai_images.fetching import PictureFetcher
from generation_service.backends.openai_images.options import (
    AnswerInvalidError,
    ImageServiceOptions,
    PictureAddressRefusedError,
)
from tests.fakes.openai_images import FakeImageService, picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PUBLIC = "93.184.216.34"


class Network:
    """Stands for the network beyond: remembers what was asked, answers with a picture."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.resolved: list[str] = []
        self.requests: list[httpx.Request] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append(f"{host}:{port}")
        if not self.addresses:
            raise OSError("unknown host")
        return self.addresses

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, content=picture(), headers={"Content-Type": "image/png"})


@asynccontextmanager
async def fetching(network: Network, base_url: str = "https://api.example/v1") -> AsyncIterator[
    PictureFetcher
]:  # fmt: skip
    options = ImageServiceOptions(base_url, download_hosts=("cdn.example", ".blobs.example"))
    fetcher = PictureFetcher(
        options, resolve=network.resolve, transport=httpx.MockTransport(network.answer)
    )
    try:
        yield fetcher
    finally:
        await fetcher.close()


@pytest.mark.parametrize(
    "address", ["https://cdn.example/a.png?sig=1", "https://eu.blobs.example/a.png?sig=1"]
)
async def test_allowed_host_is_asked_at_the_address_that_was_checked(address: str) -> None:
    """The connection goes to the checked address, with the name for TLS and Host."""
    network = Network(PUBLIC)
    async with fetching(network) as fetcher:
        assert await fetcher.fetch(address) == picture()
    (request,) = network.requests
    host = address.split("/")[2]
    assert (request.url.host, request.headers["Host"]) == (PUBLIC, host)
    assert request.extensions["sni_hostname"] == host
    assert request.url.raw_path == b"/a.png?sig=1"
    assert network.resolved == [f"{host}:443"]


@pytest.mark.parametrize(
    "address",
    [
        "https://elsewhere.example/a.png",
        "https://cdn.example.evil.example/a.png",
        "https://notcdn.example/a.png",
        "https://blobs.example.evil/a.png",
        "http://cdn.example/a.png",
        "https://cdn.example:8443/a.png",
        "https://user:word@cdn.example/a.png",
        "https://cdn.example@elsewhere.example/a.png",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/a.png",
        "http://api.example/v1/a.png",
        "https://api.example:444/a.png",
        "https://\x00/",
    ],
)
async def test_other_addresses_are_never_asked(address: str) -> None:
    """Hosts that nobody allowed, other schemes and ports, and passwords are refused unresolved."""
    network = Network(PUBLIC)
    async with fetching(network) as fetcher:
        with pytest.raises(PictureAddressRefusedError):
            await fetcher.fetch(address)
    assert (network.requests, network.resolved) == ([], [])


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["10.0.0.7"],
        ["192.168.1.1"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["0.0.0.0"],
        ["224.0.0.1"],
        ["::1"],
        ["fe80::1%eth0"],
        ["fd00::1"],
        ["::ffff:10.0.0.7"],
        ["2002:0a00:0007::1"],
        [PUBLIC, "10.0.0.7"],
    ],
)
async def test_name_that_leads_inside_is_refused(found: list[str]) -> None:
    """An allowed name is refused as soon as one of its addresses is not a public one."""
    network = Network(*found)
    async with fetching(network) as fetcher:
        with pytest.raises(PictureAddressRefusedError):
            await fetcher.fetch("https://cdn.example/a.png")
    assert network.requests == []


async def test_unknown_host_is_worth_another_try() -> None:
    """A name that the resolver does not know now may be known later."""
    async with fetching(Network()) as fetcher:
        with pytest.raises(AttemptFailedError) as caught:
            await fetcher.fetch("https://cdn.example/a.png")
    assert caught.value.worth_retrying


async def test_redirects_are_not_followed() -> None:
    """A server that sends us on, perhaps inside, gets no second request."""
    async with FakeImageService() as service, FakeImageService() as inside:
        service.redirect_to = f"{inside.url}/files/x.png"
        fetcher = PictureFetcher(ImageServiceOptions(f"{service.url}/v1"))
        with pytest.raises(AnswerInvalidError):
            await fetcher.fetch(f"{service.url}/files/x.png")
        await fetcher.close()
        assert inside.fetched == []


async def test_other_content_than_pictures_is_refused() -> None:
    """A page in place of a picture is not read."""
    async with FakeImageService() as service:
        service.content_type = "text/html"
        fetcher = PictureFetcher(ImageServiceOptions(f"{service.url}/v1"))
        with pytest.raises(AnswerInvalidError):
            await fetcher.fetch(f"{service.url}/files/x.png")
        await fetcher.close()

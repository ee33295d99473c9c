"""Models that Ollama loads before the first request."""

from __future__ import annotations

from generation_service.text.http_backend import make_client
from generation_service.text.ollama_preload import preload
from tests.fakes.ollama import FakeOllama
from tests.unit.generation_service.text.support import QUICK

GIB = 2**30


async def test_models_are_loaded_as_long_as_they_fit_together() -> None:
    """In the order of the roles, each once; one too large is passed over for the next."""
    async with FakeOllama() as server:
        server.pulled = {"big:9b": 6 * GIB, "vast:70b": 40 * GIB, "small:latest": GIB}
        client = make_client(server.url, QUICK)
        wanted = ["big:9b", "vast:70b", "big:9b", "absent:1b", "small"]
        loaded = await preload(client, wanted, 8.5 * GIB, 5)
        assert list(loaded) == server.loaded == ["big:9b", "small"]
        assert await preload(client, wanted, 7.5 * GIB, 5) == ("big:9b",)
        await client.aclose()


async def test_a_server_that_is_not_there_costs_nothing_but_a_line_in_the_log() -> None:
    """Nothing is loaded, and nothing is raised."""
    async with FakeOllama() as server:
        url = server.url
    client = make_client(url, QUICK)
    assert await preload(client, ["big:9b"], 8 * GIB, 5) == ()
    await client.aclose()

"""A gateway before a house of services, and browsers that are not there: HTTP clients."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import httpx

from gateway.server import running
from gateway.settings import GatewaySettings
from tests.integration.house import House, open_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

Json = dict[str, Any]


@dataclass
class Edge:
    """A running gateway.

    Attributes:
        url: Where it serves.
        house: The services behind it.
    """

    url: str
    house: House

    def browser(self, **options: Any) -> httpx.AsyncClient:
        """Return a client with a cookie jar of its own: another person."""
        return httpx.AsyncClient(base_url=self.url, timeout=60, **options)


@contextlib.asynccontextmanager
async def open_edge(
    folder: Path,
    ollama_url: str,
    *,
    house_settings: Mapping[str, Any] = MappingProxyType({}),
    **settings: Any,
) -> AsyncIterator[Edge]:
    """Start the services and a gateway before them.

    Args:
        folder: For all data.
        ollama_url: The models.
        house_settings: For the services.
        settings: For the gateway.
    """
    async with (
        open_house(folder, ollama_url, **house_settings) as house,
        open_gateway(house, folder, **settings) as edge,
    ):
        yield edge


@contextlib.asynccontextmanager
async def open_gateway(house: House, folder: Path, **settings: Any) -> AsyncIterator[Edge]:
    """Start a gateway before services that run."""
    configured = GatewaySettings(
        listen_address="127.0.0.1:0",
        orchestrator_address=house.address,
        generation_address=house.settings.generation_address,
        tracker_address=house.settings.tracker_address,
        cookie_secret_file=folder / "gateway.secret",
        grace_seconds=1,
        **settings,
    )
    async with running(configured) as address:
        yield Edge(f"http://{address}", house)


async def events_of(browser: httpx.AsyncClient, execution_id: str, after: str = "") -> list[Json]:
    """Follow a stream of events to its end; each with the id under `id`, if it has one."""
    found: list[Json] = []
    event_id = ""
    headers = {"Last-Event-ID": after} if after else {}
    url = f"/api/executions/{execution_id}/events"
    async with browser.stream("GET", url, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        async for line in response.aiter_lines():
            if line.startswith("id:"):
                event_id = line[3:].strip()
            elif line.startswith("data:"):
                found.append({**json.loads(line[5:]), "id": event_id})
            elif not line:
                event_id = ""
    return [event for event in found if "event" in event]

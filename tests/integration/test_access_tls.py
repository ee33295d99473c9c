"""A whole house by mutual TLS: every hop, people's tools, and certificates renewed meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.server import running
from gateway.settings import GatewaySettings
from servicekit.api_keys import create_key
from servicekit.principals import Role
from stellwerk.common.v1 import types_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.tracker.v1 import execution_pb2
from stellwerk_client.client import StellwerkClient
from stellwerk_client.errors import StellwerkError
from tests.fakes.ollama import FakeOllama
from tests.integration.house import open_house
from tests.integration.http_edge import events_of
from tests.support import eventually, free_port
from tests.unit.servicekit.authorities import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SERVICES = ("orchestrator", "safety", "generation", "tracker", "gateway")
WISH = pb2.RunExecutionRequest(
    config="dada",
    texts=["Ein Turm aus Käse"],
    safety_level=types_pb2.SAFETY_LEVEL_KIDS,
    language="de",
    text_only=True,
)


class TlsHouse:
    """A house with certificates, and how people get in."""

    def __init__(self, folder: Path) -> None:
        """Make keys and certificates; nothing runs yet."""
        self._authority = Authority()
        self._folder = folder
        self._keys = folder / "keys.json"
        self.lea = create_key(self._keys, role=Role.LEARNER, user="lea")
        self.ports = {name: f"127.0.0.1:{free_port()}" for name in SERVICES}
        self.renew()

    def renew(self) -> None:
        """Give every service a new certificate."""
        self._files = {
            name: self._authority.issue(self._folder / "tls" / name, name) for name in SERVICES
        }

    @property
    def ca(self) -> Path:
        """The authority's certificate."""
        return self._files["gateway"].ca

    def settings(self, name: str) -> dict[str, Any]:
        """Return what makes one service speak TLS; the gateway itself speaks HTTP."""
        shared = {"api_keys_file": self._keys, **self._files[name].settings()}
        return shared if name == "gateway" else {**shared, "callers_address": self.ports[name]}

    def client(self) -> StellwerkClient:
        """Return Lea's client."""
        return StellwerkClient(self.ports["orchestrator"], api_key=self.lea, tls_ca=self.ca)


@contextlib.asynccontextmanager
async def open_tls_house(folder: Path, ollama_url: str) -> AsyncIterator[tuple[TlsHouse, str]]:
    """Start everything; yields the house and the gateway's URL."""
    tls = TlsHouse(folder)
    async with open_house(
        folder,
        ollama_url,
        generation_settings=tls.settings("generation"),
        safety_settings=tls.settings("safety"),
        tracker_settings=tls.settings("tracker"),
        generation_callers_address=tls.ports["generation"],
        tracker_callers_address=tls.ports["tracker"],
        **tls.settings("orchestrator"),
    ) as house:
        gateway = GatewaySettings(
            listen_address="127.0.0.1:0",
            orchestrator_address=house.address,
            generation_address=house.settings.generation_address,
            tracker_address=house.settings.tracker_address,
            cookie_secret_file=folder / "gateway.secret",
            grace_seconds=1,
            **tls.settings("gateway"),
        )
        async with running(gateway) as address:
            yield tls, f"http://{address}"


async def test_a_house_by_mutual_tls(tmp_path: Path) -> None:
    """From idea to record through all services, before and after every certificate has changed.

    A tool with a key, the command, and a learner's browser that makes a picture; whoever trusts
    somebody else, or speaks without TLS, gets nowhere.
    """
    async with (
        FakeOllama("Ein Turm aus Seife singt leise.") as ollama,
        open_tls_house(tmp_path, ollama.url) as (house, url),
    ):
        await _make_by_tool(house)
        await _list_by_command(house)
        house.renew()
        await _make_by_tool(house)
        await _make_by_browser(url)
        stranger = Authority("somebody else").issue(tmp_path / "stranger", "tracker")
        for ca in (stranger.ca, None):
            client = StellwerkClient(house.ports["orchestrator"], api_key=house.lea, tls_ca=ca)
            async with client:
                with pytest.raises(StellwerkError) as caught:
                    await client.get_server_info()
            assert caught.value.code == "UNAVAILABLE"


async def _make_by_tool(house: TlsHouse) -> None:
    async with house.client() as client:
        events = [event async for event in client.run(WISH)]
        state = events[-1].state_changed.state
        assert state == execution_pb2.EXECUTION_STATE_COMPLETED, events[-1]
        execution_id = events[-1].execution_id

        async def recorded() -> bool:
            with contextlib.suppress(StellwerkError):  # not yet
                record = await client.get_record(execution_id)
                return record.summary.complete
            return False

        await eventually(recorded, within_seconds=30)


async def _make_by_browser(url: str) -> None:
    wish = {
        "config": "dada",
        "texts": ["Ein Turm aus Käse"],
        "safety_level": "kids",
        "language": "de",
        "parameters": {"width": 256, "height": 256},
    }
    async with httpx.AsyncClient(base_url=url, timeout=60) as browser:
        begun = await browser.post("/api/executions", json=wish)
        assert begun.status_code == 201, begun.text
        events = await events_of(browser, begun.json()["execution_id"])
        assert events[-1]["state_changed"]["state"] == "completed"


async def _list_by_command(house: TlsHouse) -> None:
    """List records by the command: what it asks the orchestrator, and then the tracker."""
    command = ("--tls-ca", str(house.ca), "records", "list", "--json")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stellwerk_cli", *command),
        *("--server", house.ports["orchestrator"]),
        env={**os.environ, "STELLWERK_API_KEY": house.lea},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert [json.loads(line)["config_name"] for line in out.splitlines()] == ["dada"]

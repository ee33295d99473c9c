"""What the doctor sees of a deployment that it can reach, from wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from servicekit.api_keys import create_key
from servicekit.principals import Role
from servicekit.version import software_version
from stellwerk_cli.checkup.deployment import Server, deployment
from stellwerk_cli.checkup.findings import Finding, State
from tests.fakes.comfyui import ComfyUIServer
from tests.fakes.ollama import FakeOllama
from tests.integration.house import House, open_house
from tests.support import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT_SECONDS = 60.0


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[House, dict[Role, str]]]:
    """A deployment with keys, a ComfyUI worker that has few models, and one that is away."""
    tmp_path = tmp_path_factory.mktemp("house")
    keys = tmp_path / "keys.json"
    secrets = {
        role: create_key(keys, role=role, user=role.value) for role in (Role.ADMIN, Role.LEARNER)
    }
    shared: dict[str, Any] = {"api_keys_file": keys, "service_key": "a-secret-of-the-services"}
    async with FakeOllama() as ollama, ComfyUIServer() as comfyui:
        workers = f"{comfyui.url},http://127.0.0.1:{free_port()}"
        async with open_house(
            tmp_path,
            ollama.url,
            generation_settings={"comfyui_workers": workers, **shared},
            safety_settings={"text_guard": True, **shared},
            tracker_settings=shared,
            **shared,
        ) as house:
            yield house, secrets


async def seen(house: House, api_key: str) -> dict[str, list[Finding]]:
    """Return what is found with a key, by subject."""
    found: dict[str, list[Finding]] = {}
    for finding in await deployment(Server(house.address, api_key, False, LIMIT_SECONDS)):
        found.setdefault(finding.subject, []).append(finding)
    return found


async def test_what_is_there_what_is_missing_and_what_is_wrong(
    house: tuple[House, dict[Role, str]],
) -> None:
    """Services, models, guards and workers; outputs name the models that no worker has."""
    running, keys = house

    async def settled() -> dict[str, list[Finding]]:
        found = await seen(running, keys[Role.ADMIN])
        assert [one for one in found["worker"] if one.state is State.FAULT]
        assert [one for one in found["worker"] if "comfyui) is well" in one.words]
        return found

    found = await eventually(settled, within_seconds=30)
    for subject in ("orchestrator", "version", "safety", "generation", "tracker", "records"):
        assert [one.state for one in found[subject]] == [State.OK], found[subject]
    for subject in ("orchestrator", "safety", "generation", "tracker"):
        assert f"version {software_version()}" in found[subject][0].words
    assert "interception: ollama/gemma3:4b" in found["roles"][0].words
    guards = [one.words for one in found["guards"] if one.state is State.MISSING]
    assert guards == ["there is no image_guard, asked for kids, youth, adult"]
    [away] = [one for one in found["comfyui"] if one.state is State.FAULT]
    assert away.fix
    lacking = [one for one in found["comfyui"] if one.state is State.MISSING]
    assert lacking
    assert all("cannot be made" in one.words and "workflows check" in one.fix for one in lacking)
    assert any("models" in one.words for one in lacking)


async def test_a_learners_key_sees_less_and_a_wrong_one_nothing(
    house: tuple[House, dict[Role, str]],
) -> None:
    """That a key may not look is no fault; that it counts for nothing is one, with the way out."""
    running, keys = house
    found = await seen(running, keys[Role.LEARNER])
    assert found["safety"][-1].state is State.MISSING
    assert "may not look" in found["safety"][-1].words
    assert [one.state for one in found["tracker"]] != [State.FAULT]
    wrong = await seen(running, "sw_000000000000_" + "x" * 40)
    assert [one.state for one in wrong["server"]] == [State.FAULT]
    assert "STELLWERK_API_KEY" in wrong["server"][0].fix


async def test_nobody_there() -> None:
    """A server that is down is one finding that says how to start or find one."""
    [finding] = await deployment(Server(f"127.0.0.1:{free_port()}", "", True, 5.0))
    assert (finding.subject, finding.state) == ("orchestrator", State.FAULT)
    assert "stellwerk up" in finding.fix

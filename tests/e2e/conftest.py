"""Deployments that several tests share, since each takes seconds to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stellwerk_cli.readiness import check_serving
from stellwerk_cli.services import PAGE
from tests.e2e.deployment import deployed
from tests.e2e.ollama_thread import running_ollama
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.deployment import Deployment
    from tests.fakes.ollama import FakeOllama


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as `e2e`."""
    for item in items:
        if "tests/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def ollama_of_session() -> Iterator[FakeOllama]:
    """One fake Ollama for all tests."""
    with running_ollama() as ollama:
        yield ollama


@pytest.fixture
def ollama(ollama_of_session: FakeOllama) -> FakeOllama:
    """The fake Ollama, with its switches as they were."""
    fake = ollama_of_session
    fake.answer = "A fake answer."
    fake.fault = None
    fake.next_faults.clear()
    fake.first_token_delay_seconds = fake.token_delay_seconds = 0.0
    fake.requests.clear()
    fake.left_count = 0
    return fake


@pytest.fixture(scope="session")
def local_models(ollama_of_session: FakeOllama) -> dict[str, str]:
    """Settings by which the services ask the fake Ollama."""
    return {
        "GENERATION_MODELS_PROFILE": "local",
        "GENERATION_OLLAMA_URL": ollama_of_session.url,
    }


@pytest.fixture(scope="session")
def shared_deployment(
    tmp_path_factory: pytest.TempPathFactory, local_models: dict[str, str]
) -> Iterator[Deployment]:
    """A deployment that restarts its services, asks the fake Ollama and knows no keys."""
    with deployed(tmp_path_factory.mktemp("served"), environment=local_models) as deployment:
        yield deployment


@pytest.fixture
async def served(shared_deployment: Deployment, ollama: FakeOllama) -> Deployment:
    """The shared deployment with all services serving, whatever a test before did to them."""
    await all_serve(shared_deployment)
    return shared_deployment


@pytest.fixture(scope="session")
def mortal_deployment(
    tmp_path_factory: pytest.TempPathFactory, local_models: dict[str, str]
) -> Iterator[Deployment]:
    """A deployment that restarts nothing and asks the fake Ollama."""
    folder = tmp_path_factory.mktemp("mortal")
    with deployed(folder, "--no-restart", environment=local_models) as deployment:
        deployment.remember()
        yield deployment
        deployment.end_revived()


@pytest.fixture
async def mortal(mortal_deployment: Deployment, ollama: FakeOllama) -> Deployment:
    """The deployment that restarts nothing; what a test before killed was started by hand."""
    mortal_deployment.revive_the_dead()
    await all_serve(mortal_deployment)
    return mortal_deployment


async def all_serve(deployment: Deployment) -> None:
    """Wait until all services of a deployment serve."""

    async def serve() -> bool:
        entries = deployment.run_file().items()
        return all(
            [await check_serving(entry["address"], http=name == PAGE) for name, entry in entries]
        )

    await eventually(serve, within_seconds=60)

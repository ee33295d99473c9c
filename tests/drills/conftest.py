"""What all drills share: the marker, the seed, and a place to say what was seen.

A drill breaks something on purpose while real processes work. What it does to them follows from one
seed, so that a failure can be tried again: `DRILL_SEED=7 make drills`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.ollama_thread import running_ollama

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fakes.ollama import FakeOllama

SEED_VARIABLE = "DRILL_SEED"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as `drill`."""
    for item in items:
        if "tests/drills/" in item.path.as_posix():
            item.add_marker(pytest.mark.drill)


@pytest.fixture
def seed() -> int:
    """The seed of this round of drills."""
    return int(os.environ.get(SEED_VARIABLE, "1"))


@pytest.fixture
def tell(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], seed: int
) -> Callable[[str], None]:
    """Print a figure past pytest's capturing: drills report what they saw, they judge no times."""

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name} (seed {seed}): {text}", flush=True)

    return say


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    """A fake Ollama that takes a tenth of a second to answer."""
    with running_ollama() as fake:
        fake.answer, fake.first_token_delay_seconds = "Eine Blume tanzt.", 0.1
        yield fake


@pytest.fixture
def local_models(ollama: FakeOllama) -> dict[str, str]:
    """Settings by which the services ask the fake Ollama."""
    return {"GENERATION_MODELS_PROFILE": "local", "GENERATION_OLLAMA_URL": ollama.url}

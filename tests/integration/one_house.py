"""One deployment for all tests of a module: starting it takes longer than most tests.

Import both fixtures and mark the module: `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.fakes.ollama import FakeOllama
from tests.integration.house import House, open_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANSWER = "Eine Blume tanzt auf der Wiese."


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def model_server() -> AsyncIterator[FakeOllama]:
    """A recording model server."""
    async with FakeOllama() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(
    tmp_path_factory: pytest.TempPathFactory, model_server: FakeOllama
) -> AsyncIterator[House]:
    """A deployment that asks the fake model."""
    async with open_house(tmp_path_factory.mktemp("house"), model_server.url) as running:
        yield running


@pytest.fixture
def ollama(model_server: FakeOllama) -> FakeOllama:
    """The model server, as it was at the beginning."""
    model_server.answer = ANSWER
    model_server.requests.clear()
    model_server.fault = None
    model_server.left_count = 0
    model_server.token_delay_seconds = model_server.first_token_delay_seconds = 0.0
    return model_server

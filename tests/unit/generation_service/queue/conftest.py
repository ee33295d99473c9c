"""The kinds of queues that have to keep the same promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.nats import nats_server
from tests.unit.generation_service.queue.jetstream_bench import jetstream_pooling
from tests.unit.generation_service.queue.workbench import local_pooling, without_workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.nats import NatsServer
    from tests.unit.generation_service.queue.workbench import Pooling, Queueing


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A NATS server for the tests of a module."""
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(params=["local", "jetstream"])
def pooling(request: pytest.FixtureRequest) -> Pooling:
    """Opens a queue together with its workers."""
    if request.param == "local":
        return local_pooling
    return jetstream_pooling(request.getfixturevalue("nats"))


@pytest.fixture
def queueing(pooling: Pooling) -> Queueing:
    """Opens a queue."""
    return without_workers(pooling)

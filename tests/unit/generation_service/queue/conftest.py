"""The kinds of queues that have to keep the same promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.generation_service.queue.workbench import local_pooling, without_workers

if TYPE_CHECKING:
    from tests.unit.generation_service.queue.workbench import Pooling, Queueing


@pytest.fixture(params=["local"])
def pooling() -> Pooling:
    """Opens a queue together with its workers."""
    return local_pooling


@pytest.fixture
def queueing(pooling: Pooling) -> Queueing:
    """Opens a queue."""
    return without_workers(pooling)

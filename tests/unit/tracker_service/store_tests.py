"""What the contract tests of stores begin with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.tracker_service.builders import SECOND_US

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tracker_service.store.interface import Store

LEASE_SECONDS = 30.0


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        """Start at a fixed time."""
        self.now_us = 1_700_000_000 * SECOND_US

    def __call__(self) -> int:
        """Return the time."""
        return self.now_us

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_us += round(seconds * SECOND_US)


class StoreTests(ABC):
    """Tests of the behaviour that does not depend on the database."""

    @abstractmethod
    def open(self, folder: Path, clock: Clock) -> AbstractAsyncContextManager[Store]:
        """Open the store whose data lie in `folder`; closed when the context is left."""

    @pytest.fixture
    def clock(self) -> Clock:
        """The store's clock."""
        return Clock()

    @pytest.fixture
    async def store(self, tmp_path: Path, clock: Clock) -> Any:
        """An empty store."""
        async with self.open(tmp_path, clock) as store:
            yield store

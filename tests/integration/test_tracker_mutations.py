"""Good and mutated items in one batch: the good ones are kept, the others are told why."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.mutations import mutated_items
from tests.integration.tracker import Item, Tracker, make_run, new_id, running_tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_ITEMS = 12
REASON_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")


class Served:
    """A tracker that serves one example after the other."""

    def __init__(self, runner: asyncio.Runner, tracker: Tracker) -> None:
        """Call `tracker` in the loop of `runner`."""
        self._runner = runner
        self._tracker = tracker
        self.mutated_count = 0
        self.refused_count = 0

    def check(self, mutated: list[Item]) -> None:
        """Send a good run and mutated items in one batch, mixed, and look at what became of it."""
        self._runner.run(self._check(mutated))

    async def _check(self, mutated: list[Item]) -> None:
        execution_id = new_id()
        good = make_run(execution_id)
        batch = [*good[:2], *mutated, *good[2:]]
        ack = await self._tracker.record(*batch)
        assert ack.accepted_count + len(ack.refused) == len(batch)
        good_ids = {item.item_id for item in good}
        for refused in ack.refused:
            assert refused.item_id == batch[refused.index].item_id[:64]
            assert refused.item_id not in good_ids
            assert refused.reason
            assert REASON_LETTERS.issuperset(refused.reason)
            assert refused.message
        record = await self._tracker.read(execution_id)
        assert list(record.items) == good
        assert record.summary.complete
        self.mutated_count += len(mutated)
        self.refused_count += len(ack.refused)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A tracker in a loop of its own, since examples are no coroutines."""
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner() as runner,
        contextlib.ExitStack() as owned,
    ):
        tracker = running_tracker(Path(folder), files=False)
        opened = runner.run(tracker.__aenter__())
        owned.callback(lambda: runner.run(tracker.__aexit__(None, None, None)))
        yield Served(runner, opened)


BATCHES = st.lists(mutated_items(), min_size=1, max_size=BATCH_ITEMS)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated=BATCHES)
def test_good_items_survive_bad_neighbours(served: Served, mutated: list[Item]) -> None:
    """No mutated item ends a stream or harms its batch; each refusal has id and reason."""
    served.check(mutated)


@pytest.mark.drill
@pytest.mark.timeout(1800)
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated=BATCHES)
def test_ten_thousand_mutated_batches_harm_nothing(served: Served, mutated: list[Item]) -> None:
    """The same ten thousand times."""
    served.check(mutated)

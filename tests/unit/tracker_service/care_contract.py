"""What every store must do for those whose data it keeps: chain, erasure."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.unit.tracker_service.builders import make_batch, make_run
from tests.unit.tracker_service.store_tests import Clock, StoreTests
from tracker_service.access import EVERYTHING
from tracker_service.chain import ChainState

if TYPE_CHECKING:
    from pathlib import Path

    from tracker_service.store.interface import Store


class CareContract(StoreTests):
    """Tests of the behaviour that does not depend on the database."""

    # --- chain ---------------------------------------------------------------------------------

    async def test_chain_holds_in_every_order_of_arrival(self, store: Store) -> None:
        """Items that arrive in any order, repeated, late or for a gap, extend a valid chain."""
        items = make_run("e", 12)
        start, *others = items
        random.Random(4).shuffle(others)
        await store.record(make_batch([start, *others[:5]]))
        first = await store.chain("e", EVERYTHING)
        await store.record(make_batch([*items[:3], *others[5:]]))
        second = await store.chain("e", EVERYTHING)
        assert (first.state, first.item_count) == (ChainState.VALID, 6)
        assert (second.state, second.item_count) == (ChainState.VALID, 12)
        assert (second.unchained_count, second.erased) == (0, False)
        assert first.head != second.head

    async def test_chain_survives_reopening(self, tmp_path: Path, clock: Clock) -> None:
        """A chain is extended by the next process with the same key."""
        items = make_run("e", 6)
        for part in (items[:2], items[2:4], items[4:]):
            async with self.open(tmp_path, clock) as store:
                await store.record(make_batch(part))
                report = await store.chain("e", EVERYTHING)
                assert report.state is ChainState.VALID

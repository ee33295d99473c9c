"""What every store must do for those whose data it keeps: chain, erasure."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from servicekit.errors import FailedPreconditionError
from tests.unit.tracker_service.builders import make_batch, make_claim, make_item, make_run
from tests.unit.tracker_service.store_tests import Clock, StoreTests
from tracker_service.access import EVERYTHING
from tracker_service.chain import ChainState
from tracker_service.erasure import Erasure, ErasureState, TaskKind, Wanted
from tracker_service.items import MediaRef
from tracker_service.lifecycle import Heartbeat
from tracker_service.records import ExecutionState

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

    # --- erasure -------------------------------------------------------------------------------

    async def test_erasure_leaves_tombstones(self, store: Store) -> None:
        """Content, names and media go; ids, types, counts and a chain that verifies stay."""
        media = MediaRef("media/ab/ab.png", "ab" * 32, 3, "image/png", "blume.png")
        odd = make_item("e", 3, "anna_s_own_type", content="Eine Blume", media=media)
        items = [*make_run("e", 5)[:2], odd, *make_run("e", 5)[3:]]
        await store.record(make_batch(items))
        before = await store.chain("e", EVERYTHING)
        await erase(store, Wanted(user_id="anna"))
        found = (await store.record_of("e", EVERYTHING)).record
        assert "Blume" not in repr(found)
        assert "anna" not in repr(found)
        assert "blume" not in repr(found)
        assert [item.item_id for item in found.items] == [item.item_id for item in items]
        assert [item.item_type for item in found.items][1:3] == ["user_input_text", "erased"]
        assert (found.summary.erased, found.summary.complete) == (True, True)
        assert found.summary.config_name == "dada"
        after = await store.chain("e", EVERYTHING)
        assert (after.state, after.erased, after.head) == (ChainState.VALID, True, before.head)

    async def test_erased_executions_are_known(self, store: Store) -> None:
        """What arrives later is acknowledged as erased and dropped; nobody can resume it."""
        items = make_run("e", 6)
        await store.claim(make_claim("e", key="k"))
        await store.record(make_batch(items[:3]))
        await erase(store, Wanted(user_id="anna"))
        beat = Heartbeat("e", 1, 9, "one:1", False)
        outcome = await store.record(make_batch(items, heartbeats=[beat]))
        assert (outcome.accepted_count, outcome.erased_count, outcome.refused) == (6, 3, ())
        summary = await store.summary("e", EVERYTHING)
        assert (summary.state, summary.item_count) == (ExecutionState.INTERRUPTED, 3)
        with pytest.raises(FailedPreconditionError) as raised:
            await store.claim(make_claim("e", after_epoch=1))
        assert raised.value.reason == "EXECUTION_CLOSED"
        again = await store.claim(make_claim("f", key="k"))
        assert (again.existing, again.execution_id) == (False, "f")

    async def test_what_began_before_an_erasure_is_never_stored(
        self, store: Store, clock: Clock
    ) -> None:
        """Executions that nobody had heard of are erased with their person; later ones are not."""
        erased_us = clock()
        await erase(store, Wanted(user_id="anna"))
        items = make_run("late", 5)
        outcome = await store.record(make_batch(items[:2]))
        assert (outcome.accepted_count, outcome.erased_count) == (2, 2)
        outcome = await store.record(make_batch(items))
        assert (outcome.accepted_count, outcome.erased_count, outcome.refused) == (5, 5, ())
        found = (await store.record_of("late", EVERYTHING)).record
        assert (found.items, found.summary.erased, found.summary.user_id) == ((), True, "")
        (left,) = await store.erasures.unfinished()
        tasks = await store.erasures.tasks(left.receipt_id)
        assert [(task.kind, task.name) for task in tasks] == [(TaskKind.MEDIA, "late")]
        again = make_item(
            "new", 1, "pipeline_start", occur_time_us=erased_us + 1, metadata={"user_id": "anna"}
        )
        for run in ([again], make_run("other", user_id="berta")):
            assert (await store.record(make_batch(run))).erased_count == 0
        assert not (await store.summary("new", EVERYTHING)).erased

    async def test_start_that_comes_last_is_erased_too(self, store: Store) -> None:
        """Items that came before anybody could know whose they are go as soon as one knows."""
        start, *others = make_run("late", 5)
        await store.record(make_batch(others))
        await erase(store, Wanted(user_id="anna"))
        outcome = await store.record(make_batch([start]))
        assert outcome.erased_count == 1
        (left,) = await store.erasures.unfinished()
        while await store.erasures.erase_next(left):
            pass
        assert "Blume" not in repr((await store.record_of("late", EVERYTHING)).record)

    async def test_traces_that_come_after_an_erasure_are_erased(self, store: Store) -> None:
        """A run that was erased while it ran leaves no files: its late items call for that."""
        items = make_run("e", 5)
        await store.record(make_batch(items[:2]))
        await erase(store, Wanted(user_id="anna"))
        media = MediaRef("media/ab/ab.png", "ab" * 32, 3, "image/png", "")
        for late in (items[2], make_item("e", 6, "output_image", media=media), items[4]):
            await store.record(make_batch([late]))
        (left,) = await store.erasures.unfinished()
        tasks = await store.erasures.tasks(left.receipt_id)
        assert [(task.kind, task.name) for task in tasks] == [(TaskKind.MEDIA, "e")]

    async def test_uploads_of_a_person_are_asked_for_and_the_name_is_scrubbed(
        self, store: Store
    ) -> None:
        """Who had media has their uploads erased; the task that names them leaves no trace."""
        media = MediaRef("media/ab/ab.png", "ab" * 32, 3, "image/png", "")
        items = make_run("e", 4)
        await store.record(make_batch([*items[:2], items[2]._replace(media=media), items[3]]))
        await store.erasures.begin("r", Wanted(user_id="anna"))
        erasure = await store.erasures.get("r")
        while await store.erasures.erase_next(erasure):
            pass
        await store.erasures.forget(erasure)
        tasks = await store.erasures.tasks("r")
        assert [task.kind.value for task in tasks] == [
            *("file", "session", "scrub", "media", "person"),
        ]
        for task in tasks:
            await store.erasures.finish_task(task)
        assert [task.kind for task in await store.erasures.tasks("r")] == [TaskKind.SCRUB]

    async def test_erasure_reaches_only_what_is_wanted(self, store: Store) -> None:
        """Others' executions stay as they are; executions can be erased by name."""
        for name, user in (("a", "anna"), ("b", "berta"), ("c", "berta")):
            await store.record(make_batch(make_run(name, user_id=user)))
        erasure = await erase(store, Wanted(user_id="anna"))
        assert (erasure.execution_count, erasure.item_count) == (1, 4)
        await erase(store, Wanted(execution_ids=("c", "none")))
        states = {name: (await store.summary(name, EVERYTHING)).erased for name in "abc"}
        assert states == {"a": True, "b": False, "c": True}
        assert "Eine Blume" in repr((await store.record_of("b", EVERYTHING)).record)

    async def test_erasure_is_resumed_after_reopening(self, tmp_path: Path, clock: Clock) -> None:
        """An erasure that was written down is carried out by the next process."""
        async with self.open(tmp_path, clock) as store:
            await store.record(make_batch(make_run("e")))
            await store.erasures.begin("r", Wanted(user_id="anna"))
        async with self.open(tmp_path, clock) as store:
            (erasure,) = await store.erasures.unfinished()
            assert (erasure.receipt_id, erasure.wanted) == ("r", Wanted(user_id="anna"))
            assert await store.erasures.erase_next(erasure)
            assert not await store.erasures.erase_next(erasure)
            await store.erasures.forget(erasure)
        async with self.open(tmp_path, clock) as store:
            erasure = await store.erasures.get("r")
            assert (erasure.state, erasure.wanted) == (ErasureState.PENDING, None)
            tasks = await store.erasures.tasks("r")
            assert [(task.kind.value, task.name) for task in tasks] == [
                ("file", "e"),
                ("session", "s-anna"),
                ("scrub", ""),
                ("person", "anna"),
            ]


async def erase(store: Store, wanted: Wanted) -> Erasure:
    """Carry out the store's side of an erasure; return its receipt."""
    name = f"receipt of {wanted}"
    await store.erasures.begin(name, wanted)
    erasure = await store.erasures.get(name)
    while await store.erasures.erase_next(erasure):
        pass
    await store.erasures.forget(erasure)
    for task in await store.erasures.tasks(name):
        if task.kind is TaskKind.SCRUB:
            await store.erasures.scrub()
        await store.erasures.finish_task(task)
    await store.erasures.finish(name)
    done = await store.erasures.get(name)
    assert done.state is ErasureState.DONE
    return done

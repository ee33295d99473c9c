"""What every store must do; a database joins by a subclass that opens it."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING, Any

import pytest

from servicekit.errors import FailedPreconditionError, NotFoundError
from tests.unit.tracker_service.builders import (
    ANNA,
    SECOND_US,
    make_batch,
    make_claim,
    make_item,
    make_run,
    make_start,
)
from tests.unit.tracker_service.store_tests import LEASE_SECONDS, Clock, StoreTests
from tracker_service.access import EVERYTHING, Audience, Writer
from tracker_service.lifecycle import Heartbeat
from tracker_service.records import ExecutionState
from tracker_service.store.interface import Batch, ExecutionFilter, Owner, Plan

if TYPE_CHECKING:
    from pathlib import Path

    from tracker_service.store.interface import Store


class StoreContract(StoreTests):
    """Tests of writing and reading."""

    # --- items ---------------------------------------------------------------------------------

    async def test_items_read_back_as_they_were_stored(self, store: Store) -> None:
        """Every field of an item comes back as it was given, and the summary says what it saw."""
        items = make_run("e", 5, plan_digest="ab", software_version="0.1")
        outcome = await store.record(make_batch(items))
        found = (await store.record_of("e", EVERYTHING)).record
        assert (outcome.accepted_count, outcome.refused) == (5, ())
        assert list(found.items) == items
        summary = found.summary
        assert summary.state is ExecutionState.COMPLETED
        assert (summary.complete, summary.missing, summary.item_count) == (True, (), 5)
        assert (summary.user_id, summary.session_id, summary.group_id) == ("anna", "s-anna", "7b")
        assert (summary.config_name, summary.user_input) == ("dada", "Eine Blume")
        assert (summary.start_time_us, summary.end_time_us) == (SECOND_US, 5 * SECOND_US)

    async def test_metadata_stay_text(self, store: Store) -> None:
        """Metadata come back byte for byte, 64-bit seeds included."""
        text = '{ "seed": 18446744073709551615,"b":1.50, "a" :"\\u00e4" }'
        await store.record(make_batch([make_start("e"), make_item("e", 2, metadata_json=text)]))
        assert (await store.record_of("e", EVERYTHING)).record.items[1].metadata_json == text

    async def test_repeats_are_stored_once(self, store: Store) -> None:
        """A stored item counts as accepted again, in the same batch, a later one, or mixed."""
        items = make_run("e")
        first = await store.record(make_batch([*items[:2], items[0]]))
        second = await store.record(make_batch(items))
        assert (first.accepted_count, second.accepted_count) == (3, 4)
        assert list((await store.record_of("e", EVERYTHING)).record.items) == items

    async def test_numbers_belong_to_one_item(self, store: Store) -> None:
        """Another item under a stored number is refused with SEQUENCE_TAKEN, alone."""
        await store.record(make_batch([make_start("e"), make_item("e", 2)]))
        outcome = await store.record(make_batch([make_item("e", 2), make_item("e", 3)]))
        assert outcome.accepted_count == 1
        assert [(one.index, one.reason) for one in outcome.refused] == [(0, "SEQUENCE_TAKEN")]

    async def test_order_of_arrival_does_not_matter(self, store: Store) -> None:
        """Items in any order, one by one, give the same record."""
        items = make_run("e", 12)
        shuffled = random.Random(7).sample(items, len(items))
        for item in shuffled:
            await store.record(make_batch([item]))
        found = (await store.record_of("e", EVERYTHING)).record
        assert list(found.items) == items
        assert (found.summary.complete, found.summary.user_id) == (True, "anna")
        page = await store.items_after("e", EVERYTHING, 0, 100)
        assert [one.item for one in page.items] == shuffled
        assert [one.position for one in page.items] == list(range(1, 13))

    async def test_gap_is_named_and_closed(self, store: Store) -> None:
        """A record that ended with a gap names it, and is complete once the gap is filled."""
        items = make_run("e", 8)
        await store.record(make_batch([*items[:3], *items[5:]]))
        summary = await store.summary("e", EVERYTHING)
        assert (summary.state, summary.complete) == (ExecutionState.COMPLETED, False)
        assert summary.missing == (4, 5)
        await store.record(make_batch(items[3:5]))
        summary = await store.summary("e", EVERYTHING)
        assert (summary.complete, summary.missing) == (True, ())

    async def test_terminal_item_closes(self, store: Store) -> None:
        """Behind the terminal item, and beside it, nothing is accepted."""
        await store.record(make_batch(make_run("e", 6)[:3]))
        await store.record(make_batch([make_item("e", 6, "pipeline_error", stage=2)]))
        late = [make_item("e", 7), make_item("e", 5, "pipeline_complete", stage=5)]
        outcome = await store.record(make_batch([*late, make_item("e", 4)]))
        assert [one.reason for one in outcome.refused] == ["EXECUTION_CLOSED"] * 2
        assert (await store.summary("e", EVERYTHING)).state is ExecutionState.FAILED

    @pytest.mark.parametrize(
        ("item_type", "state"),
        [
            ("pipeline_complete", ExecutionState.COMPLETED),
            ("pipeline_blocked", ExecutionState.BLOCKED),
            ("pipeline_error", ExecutionState.FAILED),
            ("pipeline_cancelled", ExecutionState.CANCELLED),
        ],
    )
    async def test_terminal_item_gives_the_state(
        self, store: Store, item_type: str, state: ExecutionState
    ) -> None:
        """Each terminal item leaves its state, reason and count of outputs."""
        facts = {"error_type": "SAFETY_UNAVAILABLE", "outputs_generated": 3}
        end = make_item("e", 2, item_type, stage=5, metadata=facts)
        await store.record(make_batch([make_start("e"), end]))
        summary = await store.summary("e", EVERYTHING)
        assert (summary.state, summary.outputs_generated) == (state, 3)
        assert summary.error == ("SAFETY_UNAVAILABLE" if state == "failed" else "")

    # --- whose it is ---------------------------------------------------------------------------

    async def test_foreign_writers_find_nothing(self, store: Store) -> None:
        """Who is neither trusted nor the owner gets EXECUTION_NOT_FOUND, whatever is sent."""
        await store.record(make_batch([make_start("e")], writer=ANNA))
        berta = Writer(trusted=False, user_id="berta", session_id="s-berta", group_id="7b")
        own = await store.record(make_batch([make_item("e", 2)], writer=ANNA))
        foreign = await store.record(make_batch([make_item("e", 3)], writer=berta))
        stolen = await store.record(make_batch([make_start("f")], writer=berta))
        headless = await store.record(make_batch([make_item("g", 2)], writer=berta))
        assert own.accepted_count == 1
        for outcome in (foreign, stolen, headless):
            assert [one.reason for one in outcome.refused] == ["EXECUTION_NOT_FOUND"]
        for unborn in "fg":
            with pytest.raises(NotFoundError):
                await store.summary(unborn, EVERYTHING)

    async def test_readers_see_their_own(self, store: Store) -> None:
        """Executions outside the audience read as unknown, in every question."""
        await store.record(make_batch(make_run("e")))
        own = [Audience(False, session_id="s-anna"), Audience(False, group_id="7b")]
        foreign = [Audience(False, session_id="s-berta"), Audience(False), Audience(False, "", "8")]
        for audience in own:
            assert (await store.summary("e", audience)).execution_id == "e"
            assert len((await store.page(ExecutionFilter(), audience, 9, None)).executions) == 1
        for audience in foreign:
            for question in (
                store.summary("e", audience),
                store.record_of("e", audience),
                store.plan("e", audience),
                store.items_after("e", audience, 0, 9),
                store.keys_of(["e"], audience),
                store.chain("e", audience),
            ):
                with pytest.raises(NotFoundError):
                    await question
            assert not (await store.page(ExecutionFilter(), audience, 9, None)).executions
            assert await store.next_key(ExecutionFilter(), audience, 0, 99) is None

    async def test_plans_are_kept_by_digest(self, store: Store) -> None:
        """A plan is found through its execution; one that was never stored is PLAN_NOT_FOUND."""
        plan = Plan(hashlib.sha256(b"{}").hexdigest(), b"{}")
        await store.record(Batch(ANNA, plans=[plan, plan]))
        await store.record(make_batch([make_start("e", plan_digest=plan.plan_digest)]))
        await store.record(make_batch([make_start("f")]))
        assert await store.plan("e", EVERYTHING) == plan
        with pytest.raises(NotFoundError) as raised:
            await store.plan("f", EVERYTHING)
        assert raised.value.reason == "PLAN_NOT_FOUND"

    # --- claims and leases ---------------------------------------------------------------------

    async def test_idempotency_key_stands_for_one_execution(self, store: Store) -> None:
        """Of many claims with one key exactly one owns; another user's same key is another key."""
        claims = await asyncio.gather(
            *(store.claim(make_claim(f"e{n}", f"host:{n}", key="k")) for n in range(10))
        )
        assert [claim.existing for claim in claims].count(False) == 1
        assert len({claim.execution_id for claim in claims}) == 1
        berta = Writer(trusted=False, user_id="berta", session_id="", group_id="")
        other = await store.claim(make_claim("f", key="k", writer=berta))
        assert (other.existing, other.execution_id) == (False, "f")

    async def test_key_of_an_owner_who_died_at_once_can_be_used_again(
        self, store: Store, clock: Clock
    ) -> None:
        """Of whom nothing arrived, nothing can be resumed: the next who asks begins anew."""
        await store.claim(make_claim("e", "one:1", key="k"))
        clock.advance(LEASE_SECONDS - 1)
        assert (await store.claim(make_claim("f", "two:2", key="k"))).existing
        clock.advance(2)
        claim = await store.claim(make_claim("g", "three:3", key="k"))
        assert (claim.execution_id, claim.epoch, claim.existing) == ("e", 2, False)
        assert claim.next_sequence_number == 1
        assert (await store.claim(make_claim("h", "two:2", key="k"))).existing
        await store.record(make_batch([item._replace(epoch=2) for item in make_run("e")]))
        clock.advance(10 * LEASE_SECONDS)
        assert (await store.claim(make_claim("i", "two:2", key="k"))).existing
        summary = await store.summary("e", EVERYTHING)
        assert (summary.state, summary.complete) == (ExecutionState.COMPLETED, True)

    async def test_owner_may_claim_again(self, store: Store) -> None:
        """A repeated claim of the owner gives the same answer; anybody else gets LEASE_HELD."""
        first = await store.claim(make_claim("e", key="k"))
        again = await store.claim(make_claim("e", key="k"))
        assert first == again
        assert (first.epoch, first.next_sequence_number, first.existing) == (1, 1, False)
        with pytest.raises(FailedPreconditionError) as raised:
            await store.claim(make_claim("e", "two:2"))
        assert raised.value.reason == "LEASE_HELD"

    async def test_silence_interrupts_and_signs_of_life_revive(
        self, store: Store, clock: Clock
    ) -> None:
        """An execution lives from heartbeat to heartbeat; a released one ends at once."""
        await store.record(make_batch([make_start("e")]))
        clock.advance(LEASE_SECONDS - 1)
        await store.record(make_batch(heartbeats=[Heartbeat("e", 1, 4, "one:1", False)]))
        clock.advance(LEASE_SECONDS - 1)
        assert await store.lapse() == 0
        clock.advance(2)
        assert await store.lapse() == 1
        summary = await store.summary("e", EVERYTHING)
        assert (summary.state, summary.missing) == (ExecutionState.INTERRUPTED, (2, 3, 4))
        await store.record(make_batch(heartbeats=[Heartbeat("e", 1, 4, "one:1", False)]))
        assert (await store.summary("e", EVERYTHING)).state is ExecutionState.RUNNING
        await store.record(make_batch(heartbeats=[Heartbeat("e", 1, 4, "one:1", True)]))
        assert (await store.summary("e", EVERYTHING)).state is ExecutionState.INTERRUPTED

    async def test_waiting_for_a_person_is_a_state_with_a_lease(
        self, store: Store, clock: Clock
    ) -> None:
        """Who waits for an edit is shown so, until a heartbeat says otherwise or none comes."""

        async def state_after(*, awaiting: bool) -> ExecutionState:
            beat = Heartbeat("e", 1, 1, "one:1", released=False, awaiting_edit=awaiting)
            await store.record(make_batch(heartbeats=[beat]))
            return (await store.summary("e", EVERYTHING)).state

        await store.record(make_batch([make_start("e")]))
        assert await store.owner_of("e", EVERYTHING) == Owner(owned=True, owner_address="")
        assert await state_after(awaiting=True) is ExecutionState.AWAITING_EDIT
        assert await store.owner_of("e", EVERYTHING) == Owner(owned=True, owner_address="one:1")
        with pytest.raises(FailedPreconditionError):
            await store.claim(make_claim("e", "two:2", after_epoch=1))
        assert await state_after(awaiting=False) is ExecutionState.RUNNING
        assert await state_after(awaiting=True) is ExecutionState.AWAITING_EDIT
        clock.advance(10 * LEASE_SECONDS)
        await store.extend_leases()
        assert await store.lapse() == 0
        clock.advance(LEASE_SECONDS + 1)
        assert await store.owner_of("e", EVERYTHING) == Owner(owned=False, owner_address="")
        assert await store.lapse() == 1
        assert (await store.summary("e", EVERYTHING)).state is ExecutionState.INTERRUPTED

    async def test_late_terminal_item_wins(self, store: Store) -> None:
        """An interrupted execution whose terminal item arrives after all has that state."""
        items = make_run("e")
        await store.record(make_batch(items[:2]))
        await store.record(make_batch(heartbeats=[Heartbeat("e", 1, 4, "one:1", True)]))
        await store.record(make_batch(items[2:]))
        summary = await store.summary("e", EVERYTHING)
        assert (summary.state, summary.complete) == (ExecutionState.COMPLETED, True)
        await store.record(make_batch(heartbeats=[Heartbeat("e", 1, 9, "one:1", True)]))
        assert await store.summary("e", EVERYTHING) == summary

    async def test_store_that_was_away_waits(self, store: Store, clock: Clock) -> None:
        """After leases were extended, nothing lapses for one full lease."""
        await store.record(make_batch([make_start("e")]))
        clock.advance(10 * LEASE_SECONDS)
        await store.extend_leases()
        clock.advance(LEASE_SECONDS - 1)
        assert await store.lapse() == 0
        clock.advance(2)
        assert await store.lapse() == 1

    async def test_resume_takes_the_next_epoch(self, store: Store) -> None:
        """A new claim goes on behind what is stored; what the old one still sends is late."""
        items = make_run("e", 6)
        await store.record(make_batch([items[0], items[1], items[3]]))
        with pytest.raises(FailedPreconditionError):
            await store.claim(make_claim("e", "two:2", after_epoch=1))
        await store.record(make_batch(heartbeats=[Heartbeat("e", 1, 9, "one:1", True)]))
        claim = await store.claim(make_claim("e", "two:2", after_epoch=1))
        assert (claim.epoch, claim.next_sequence_number) == (2, 5)
        assert await store.claim(make_claim("e", "two:2", after_epoch=1)) == claim
        await store.record(make_batch([items[2], items[4], items[5]]))
        end = make_item("e", 5, "pipeline_complete", stage=5, epoch=2)
        await store.record(make_batch([end]))
        found = (await store.record_of("e", EVERYTHING)).record
        assert [item.sequence_number for item in found.items if not item.late] == [1, 2, 3, 4, 5]
        assert [item.sequence_number for item in found.items if item.late] == [5, 6]
        assert (found.summary.complete, found.summary.epoch) == (True, 2)

    async def test_resume_needs_something_to_resume(self, store: Store) -> None:
        """Unknown, foreign and ended executions cannot be claimed for resuming."""
        with pytest.raises(NotFoundError):
            await store.claim(make_claim("none", after_epoch=1))
        await store.record(make_batch(make_run("e")))
        foreign = Audience(False, session_id="s-berta")
        with pytest.raises(NotFoundError):
            await store.claim(make_claim("e", after_epoch=1, audience=foreign))
        with pytest.raises(FailedPreconditionError) as raised:
            await store.claim(make_claim("e", after_epoch=1))
        assert raised.value.reason == "EXECUTION_CLOSED"

    # --- lists, files, restart -----------------------------------------------------------------

    async def test_pages_are_stable_while_executions_arrive(self, store: Store) -> None:
        """Paging shows every execution once, newest first, whatever starts in the meantime."""
        for number in range(25):
            start = make_item(f"e{number}", 1, "pipeline_start")
            start = start._replace(occur_time_us=(number // 3) * SECOND_US)
            await store.record(make_batch([start]))
        seen: list[str] = []
        after = None
        while True:
            page = await store.page(ExecutionFilter(), EVERYTHING, 4, after)
            seen += [one.execution_id for one in page.executions]
            newer = make_item(f"new{len(seen)}", 1, occur_time_us=99 * SECOND_US)
            await store.record(make_batch([newer]))
            after = page.next
            if after is None:
                break
        assert seen == [f"e{number}" for number in reversed(range(25))]

    async def test_filters_must_all_hold(self, store: Store) -> None:
        """Config, session, state and time choose executions, alone and together."""
        await store.record(make_batch(make_run("done")))
        await store.record(make_batch([make_start("live", config_name="bauhaus")]))

        async def names(**wanted: Any) -> list[str]:
            page = await store.page(ExecutionFilter(**wanted), EVERYTHING, 9, None)
            return sorted(one.execution_id for one in page.executions)

        assert await names() == ["done", "live"]
        assert await names(config_name="dada") == ["done"]
        assert await names(session_id="s-anna") == ["done", "live"]
        assert await names(session_id="s-berta") == []
        assert await names(states=(ExecutionState.RUNNING,)) == ["live"]
        assert await names(start_from_us=SECOND_US) == ["done", "live"]
        assert await names(start_before_us=SECOND_US) == []
        assert await names(config_name="dada", states=(ExecutionState.RUNNING,)) == []

    async def test_files_are_due_until_written(self, store: Store) -> None:
        """A changed record is due until its revision was written, and again when it changes."""
        await store.record(make_batch([make_start("live")]))
        items = make_run("done", 5)
        await store.record(make_batch([*items[:3], items[4]]))
        assert await store.outdated_files(only_complete=True, after=0) == []
        everything = await store.outdated_files(only_complete=False, after=0)
        assert [one.execution_id for one in everything] == ["live", "done"]
        await store.record(make_batch([items[3]]))
        due = await store.outdated_files(only_complete=True, after=0)
        found = await store.record_by_key(due[0].key, EVERYTHING)
        assert found is not None
        await store.mark_file(found.key, found.revision)
        assert await store.outdated_files(only_complete=True, after=0) == []
        assert [one.execution_id for one in await store.complete_files(0)] == ["done"]

    async def test_everything_survives_reopening(self, tmp_path: Path, clock: Clock) -> None:
        """Closed and opened again, a store goes on where it was: numbers, claims, keys, repeats."""
        items = make_run("e", 6)
        async with self.open(tmp_path, clock) as store:
            await store.claim(make_claim("e", key="k"))
            await store.record(make_batch(items[:3]))
        async with self.open(tmp_path, clock) as store:
            again = await store.claim(make_claim("other", "two:2", key="k"))
            assert (again.existing, again.execution_id) == (True, "e")
            outcome = await store.record(make_batch([*items, make_item("e", 3)]))
            assert outcome.accepted_count == 6
            assert [one.reason for one in outcome.refused] == ["SEQUENCE_TAKEN"]
            assert list((await store.record_of("e", EVERYTHING)).record.items) == items

    async def test_concurrent_batches_are_all_stored(self, store: Store) -> None:
        """Batches of many executions at once lose nothing and mix nothing."""
        runs = {f"e{n}": make_run(f"e{n}", 20) for n in range(20)}
        batches = [make_batch([run[step] for run in runs.values()]) for step in range(20)]
        outcomes = await asyncio.gather(*(store.record(batch) for batch in batches))
        assert sum(outcome.accepted_count for outcome in outcomes) == 400
        for execution_id, run in runs.items():
            found = (await store.record_of(execution_id, EVERYTHING)).record
            assert list(found.items) == run
            assert found.summary.complete

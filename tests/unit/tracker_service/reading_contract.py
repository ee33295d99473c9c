"""What exports, files and erasures ask of every store: records one after the other, by key."""

from __future__ import annotations

import asyncio

import pytest

from servicekit.errors import NotFoundError
from tests.unit.tracker_service.builders import SECOND_US, make_batch, make_item, make_run
from tests.unit.tracker_service.care_contract import erase
from tests.unit.tracker_service.store_tests import StoreTests
from tracker_service.access import EVERYTHING, Audience
from tracker_service.erasure import Wanted
from tracker_service.store.interface import ExecutionFilter, Store

ANY = ExecutionFilter()
STRANGER = Audience(False, session_id="s-tom")
LEARNER = Audience(False, session_id="s-anna", sees_withheld=False)


async def read_through(store: Store, wanted: ExecutionFilter, audience: Audience) -> list[str]:
    """Return the names of all records that exports would hold, read piece by piece."""
    names: list[str] = []
    key, until = 0, await store.last_key()
    while found := await store.records_after(wanted, audience, key, until):
        assert [one.key for one in found] == sorted({one.key for one in found})
        assert key < found[0].key <= found[-1].key <= until
        for one in found:
            name = one.record.summary.execution_id
            assert one == await store.record_of(name, audience)
            names.append(name)
        key = found[-1].key
    return names


class ReadingContract(StoreTests):
    """Tests of the behaviour that does not depend on the database."""

    async def test_records_are_read_in_the_order_of_creation(self, store: Store) -> None:
        """Every record comes once, whole, oldest first, however many there are and how long."""
        names = [f"e{number:02}" for number in range(40)]
        for number, name in enumerate(reversed(names)):
            await store.record(make_batch(make_run(name, 3 + 400 * (number % 7 == 3))))
        assert await read_through(store, ANY, EVERYTHING) == names[::-1]

    async def test_what_began_later_does_not_join(self, store: Store) -> None:
        """Records behind the last key of the beginning are left out, new items are not."""
        await store.record(make_batch(make_run("old", 5)[:2]))
        until = await store.last_key()
        await store.record(make_batch(make_run("old", 5)[2:]))
        await store.record(make_batch(make_run("new", 3)))
        (found,) = await store.records_after(ANY, EVERYTHING, 0, until)
        assert (found.record.summary.execution_id, len(found.record.items)) == ("old", 5)
        assert await store.records_after(ANY, EVERYTHING, found.key, until) == []

    async def test_records_are_chosen_like_lists(self, store: Store) -> None:
        """Filters and audiences hold for records as they do for pages, one key at a time, too."""
        await store.record(make_batch(make_run("a", 4, config_name="dada")))
        await store.record(make_batch(make_run("b", 4, config_name="bauhaus")))
        await store.record(make_batch(make_run("c", 4, user_id="berta", session_id="s-berta")))
        dada = ExecutionFilter(config_name="dada")
        assert await read_through(store, dada, EVERYTHING) == ["a", "c"]
        assert await read_through(store, ANY, LEARNER) == ["a", "b"]
        earlier = ExecutionFilter(start_before_us=SECOND_US)
        assert await read_through(store, earlier, EVERYTHING) == []
        both = ExecutionFilter(config_name="dada", execution_ids=("a", "b"))
        assert await read_through(store, both, LEARNER) == ["a"]
        first, second, third = await store.keys_of(["c", "a", "b", "a"], EVERYTHING)
        assert await store.next_key(dada, EVERYTHING, first, third) == third
        assert await store.next_key(dada, EVERYTHING, first, second) is None
        assert await store.next_key(ANY, LEARNER, second, third) is None

    async def test_records_show_what_their_reader_may_see(self, store: Store) -> None:
        """Withheld content is cleared for learners in whatever way they come to a record."""
        withheld = make_item("e", 3, content="schlimm", metadata={"withheld": True})
        await store.record(make_batch([*make_run("e", 3)[:2], withheld]))
        (key,) = await store.keys_of(["e"], LEARNER)
        one = await store.record_by_key(key, LEARNER)
        (other,) = await store.records_after(ANY, LEARNER, 0, key)
        assert one == other
        assert other.record.items[2].content is None
        (whole,) = await store.records_after(ANY, EVERYTHING, 0, key)
        assert whole.record.items[2].content == "schlimm"

    async def test_unknown_keys_find_nothing(self, store: Store) -> None:
        """An empty store has no last key; unknown names are NOT_FOUND, unknown keys nothing."""
        assert await store.last_key() == 0
        assert await store.record_by_key(7, EVERYTHING) is None
        assert await store.next_key(ANY, EVERYTHING, 0, 100) is None
        await store.record(make_batch(make_run("e", 3)[:2]))
        for names, audience in ((["e", "x"], EVERYTHING), (["e"], STRANGER)):
            with pytest.raises(NotFoundError) as raised:
                await store.keys_of(names, audience)
            assert raised.value.reason == "EXECUTION_NOT_FOUND"

    async def test_complete_files_come_by_key(self, store: Store) -> None:
        """Every complete execution that is not erased has a file, and pages go on by key."""
        for name in ("a", "b", "c"):
            await store.record(make_batch(make_run(name, 3, user_id=f"u-{name}")))
        await store.record(make_batch(make_run("open", 3)[:2]))
        await erase(store, Wanted(user_id="u-b"))
        files = await store.complete_files(0)
        assert [file.execution_id for file in files] == ["a", "c"]
        assert [file.execution_id for file in await store.complete_files(files[0].key)] == ["c"]

    async def test_items_that_meet_their_erasure_are_erased(self, store: Store) -> None:
        """Items on their way into the store while it erases leave nothing, whoever was first."""
        start, *others = make_run("e", 30)
        await store.record(make_batch([start]))
        await store.erasures.begin("receipt", Wanted(execution_ids=("e",)))
        erasure = await store.erasures.get("receipt")
        waiting = [store.record(make_batch([item])) for item in others[:15]]
        erased = asyncio.ensure_future(store.erasures.erase_next(erasure))
        await asyncio.sleep(0)
        waiting += [store.record(make_batch([item])) for item in others[15:]]
        assert await erased
        for outcome in waiting:
            assert (await outcome).accepted_count == 1
        found = (await store.record_of("e", EVERYTHING)).record
        assert all(item.content is None and not item.metadata_json for item in found.items)

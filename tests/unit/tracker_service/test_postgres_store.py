"""The contract of stores on PostgreSQL, and what only PostgreSQL has."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from servicekit.errors import UnavailableError
from servicekit.settings import ConfigurationError
from tests.postgres import PostgresServer, fresh_database
from tests.support import eventually, free_port
from tests.unit.tracker_service.builders import make_batch, make_item, make_run, make_start
from tests.unit.tracker_service.care_contract import CareContract
from tests.unit.tracker_service.export_workflow.workflow_contract import WorkflowContract
from tests.unit.tracker_service.insight_contract import InsightContract
from tests.unit.tracker_service.reading_contract import ReadingContract
from tests.unit.tracker_service.store_contract import StoreContract
from tests.unit.tracker_service.store_tests import LEASE_SECONDS, Clock
from tracker_service.access import EVERYTHING
from tracker_service.store.postgres import open_postgres_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tracker_service.store.database import DatabaseStore
    from tracker_service.store.interface import CommitListener, Committed


@functools.cache
def database_of(folder: Path) -> str:
    """Return the URL of the database that stands for a folder."""
    return fresh_database()


@contextlib.asynccontextmanager
async def opened(
    url: str, clock: Clock, on_commit: CommitListener = lambda committed: None
) -> AsyncIterator[DatabaseStore]:
    """Open the store of a database."""
    store = await open_postgres_store(
        url, lease_seconds=LEASE_SECONDS, on_commit=on_commit, clock=clock
    )
    try:
        yield store
    finally:
        await store.close()


class TestPostgresStore(
    StoreContract, ReadingContract, CareContract, InsightContract, WorkflowContract
):
    """PostgreSQL keeps the contract."""

    def open(
        self, folder: Path, clock: Clock
    ) -> contextlib.AbstractAsyncContextManager[DatabaseStore]:
        """Open the store of `folder`."""
        return opened(database_of(folder), clock)


@pytest.fixture
def url() -> str:
    """An empty database."""
    return fresh_database()


async def test_replicas_share_executions(url: str) -> None:
    """Two trackers that take one execution's items in turn and at once lose and mix nothing."""
    clock = Clock()
    items = make_run("e", 60)
    async with opened(url, clock) as one, opened(url, clock) as two:
        batches = [make_batch([item]) for item in items]
        outcomes = await asyncio.gather(
            *(store.record(batch) for batch in batches for store in (one, two))
        )
        assert [outcome.accepted_count for outcome in outcomes] == [1] * 120
        for store in (one, two):
            found = (await store.record_of("e", EVERYTHING)).record
            assert list(found.items) == items
            assert found.summary.complete
        page = await one.items_after("e", EVERYTHING, 0, 99)
        assert [stored.position for stored in page.items] == list(range(1, 61))


async def test_commits_of_another_replica_wake(url: str) -> None:
    """What one tracker commits is told to the other, by the name of the execution."""
    heard: list[Committed] = []
    clock = Clock()
    async with opened(url, clock) as one, opened(url, clock, heard.append):
        await eventually(lambda: any(one.unknown for one in heard))
        await one.record(make_batch(make_run("e")))
        await eventually(lambda: any("e" in one.execution_ids for one in heard))
        assert any(one.completed for one in heard)


async def test_items_lie_in_partitions_by_month(url: str) -> None:
    """Ids of this month get a partition, once it is believed; others go to the default one."""
    clock = Clock()  # long before the ids, which are of today
    async with opened(url, clock) as store:
        await store.record(make_batch([make_start("e"), make_item("e", 2)]))
        assert partitions_of(url) == {"items_other": 2}
        clock.now_us = round(datetime.now(UTC).timestamp() * 1e6)
        odd = make_item("e", 4, item_id="00000000-0000-4000-8000-000000000000")
        await store.record(make_batch([make_item("e", 3), odd]))
        month = f"items_{datetime.now(UTC):%Y_%m}"
        assert partitions_of(url) == {"items_other": 1, month: 3}
        record = (await store.record_of("e", EVERYTHING)).record
        assert [item.sequence_number for item in record.items] == [1, 2, 3, 4]
        again = await store.record(make_batch([odd, *record.items]))
        assert (again.accepted_count, again.refused) == (5, ())


def partitions_of(url: str) -> dict[str, int]:
    """Return how many items each partition holds."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT tableoid::regclass::text, COUNT(*) FROM items GROUP BY 1"
        )
        return dict(found.fetchall())


async def test_server_that_restarts_costs_nothing() -> None:
    """While the server is away, writes and reads are STORE_UNAVAILABLE; afterwards all go on."""
    server = PostgresServer()
    try:
        clock = Clock()
        items = make_run("e", 6)
        async with opened(server.create("tracker"), clock) as store:
            await store.record(make_batch(items[:3]))
            await asyncio.to_thread(server.stop)
            for call in (store.record(make_batch(items[3:])), store.summary("e", EVERYTHING)):
                with pytest.raises(UnavailableError) as raised:
                    await call
                assert raised.value.reason == "STORE_UNAVAILABLE"
            await asyncio.to_thread(server.start)
            assert (await store.record(make_batch(items))).accepted_count == 6
            assert list((await store.record_of("e", EVERYTHING)).record.items) == items
    finally:
        server.stop()


async def test_unreachable_database_is_a_fault_of_the_settings() -> None:
    """A tracker whose database cannot be reached does not start, and does not tell its password."""
    url = f"postgresql://anna:geheim@127.0.0.1:{free_port()}/tracker"
    with pytest.raises(ConfigurationError) as raised:
        async with opened(url, Clock()):
            pass
    assert "geheim" not in str(raised.value)

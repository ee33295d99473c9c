"""The contract of stores on SQLite, and what only SQLite has."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from servicekit.errors import ResourceExhaustedError
from servicekit.settings import ConfigurationError
from tests.unit.tracker_service.builders import SERVICE, make_item, make_run, make_start
from tests.unit.tracker_service.care_contract import CareContract
from tests.unit.tracker_service.export_workflow.workflow_contract import WorkflowContract
from tests.unit.tracker_service.insight_contract import InsightContract
from tests.unit.tracker_service.reading_contract import ReadingContract
from tests.unit.tracker_service.store_contract import StoreContract
from tests.unit.tracker_service.store_tests import LEASE_SECONDS, Clock
from tracker_service.access import EVERYTHING
from tracker_service.store.interface import Batch, ExecutionFilter
from tracker_service.store.sqlite import open_sqlite_store
from tracker_service.store.writer_thread import MAX_WAITING_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tracker_service.store.database import DatabaseStore


@contextlib.asynccontextmanager
async def opened(folder: Path, clock: Clock) -> AsyncIterator[DatabaseStore]:
    """Open the store of `folder`."""
    store = await open_sqlite_store(
        folder / "tracker.sqlite3",
        lease_seconds=LEASE_SECONDS,
        on_commit=lambda committed: None,
        clock=clock,
    )
    try:
        yield store
    finally:
        await store.close()


class TestSqliteStore(
    StoreContract, ReadingContract, CareContract, InsightContract, WorkflowContract
):
    """SQLite keeps the contract."""

    def open(
        self, folder: Path, clock: Clock
    ) -> contextlib.AbstractAsyncContextManager[DatabaseStore]:
        """Open the store of `folder`."""
        return opened(folder, clock)


async def test_full_queue_is_busy(tmp_path: Path) -> None:
    """More than the queue may hold is refused at once with STORE_BUSY; what was taken is kept."""
    async with opened(tmp_path, Clock()) as store:
        half = MAX_WAITING_BYTES // 2
        taken = []
        with pytest.raises(ResourceExhaustedError) as raised:
            for number in range(1000):
                batch = Batch(SERVICE, [(0, make_item(f"e{number}", 1))], size_bytes=half)
                taken.append(store.record(batch))
        assert raised.value.reason == "STORE_BUSY"
        assert raised.value.retry_seconds
        for outcome in taken:
            assert (await outcome).accepted_count == 1


async def test_acknowledged_items_are_in_the_file(tmp_path: Path) -> None:
    """What was acknowledged is there for another process, while the store is still open."""
    async with opened(tmp_path, Clock()) as store:
        await store.record(Batch(SERVICE, list(enumerate(make_run("e", 7)))))
        with contextlib.closing(sqlite3.connect(tmp_path / "tracker.sqlite3")) as other:
            assert other.execute("SELECT COUNT(*) FROM items").fetchone() == (7,)
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_bad_job_does_not_take_others_along(tmp_path: Path) -> None:
    """A batch that the database rejects fails alone, though it shares a transaction."""
    async with opened(tmp_path, Clock()) as store:
        unreadable = make_item("bad", 1, content="\ud800")
        outcomes = [
            store.record(Batch(SERVICE, [(0, item)]))
            for item in (make_item("one", 1), unreadable, make_item("two", 1))
        ]
        assert (await outcomes[0]).accepted_count == 1
        with pytest.raises(ValueError, match="surrogate"):
            await outcomes[1]
        assert (await outcomes[2]).accepted_count == 1


async def test_words_are_found_after_an_upgrade(tmp_path: Path) -> None:
    """The index of words of an older version becomes one of today's; nothing is lost of it."""
    text = {"content": "Ein Zaunkönig singt"}
    async with opened(tmp_path, Clock()) as store:
        items = [make_start("e"), make_item("e", 2, "user_input_text", stage=1, **text)]
        end = make_item("e", 3, "pipeline_complete", stage=5)
        await store.record(Batch(SERVICE, list(enumerate([*items, end]))))
        assert await store.insights.index_changed(9) == 1
    with contextlib.closing(sqlite3.connect(tmp_path / "tracker.sqlite3")) as connection:
        connection.executescript(
            "CREATE TABLE kept AS SELECT rowid AS key, words FROM execution_words;"
            "DROP TABLE execution_words;"
            "CREATE VIRTUAL TABLE execution_words USING fts5("
            "words, tokenize='ascii', detail=none, prefix='1 2 3 4 5 6 7 8');"
            "INSERT INTO execution_words (rowid, words) SELECT key, words FROM kept;"
            "DROP TABLE kept; UPDATE alembic_version SET version_num = '0006'"
        )
    async with opened(tmp_path, Clock()) as store:
        for word in ("zaunkonig", "zaunkoni", "zau"):
            page = await store.page(ExecutionFilter(words=(word,)), EVERYTHING, 9, None)
            assert [one.execution_id for one in page.executions] == ["e"]


async def test_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """After a rollback the tracker says which schema it met and what to do, and changes nothing."""
    path = tmp_path / "tracker.sqlite3"
    async with opened(tmp_path, Clock()):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"schema 9999.*restore the backup"):
        async with opened(tmp_path, Clock()):
            pass
    assert path.read_bytes() == before

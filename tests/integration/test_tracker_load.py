"""Many at once: watchers, pages under a stream of new records, a database that restarts."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from tests.integration.tracker import make_run, read_all, running_tracker
from tests.postgres import fresh_database
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path


def url_of(database: str) -> str:
    """Return what the tracker's setting is for a kind of database."""
    return fresh_database() if database == "postgres" else ""


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_fifty_watchers_see_each_item_once(database: str, tmp_path: Path) -> None:
    """Watchers that come at any time while items are stored get all of them, once, in order."""
    async with running_tracker(tmp_path, database_url=url_of(database)) as tracker:
        items = make_run("e", 120)
        await tracker.record(items[0])
        watching: list[asyncio.Task[list[pb.WatchItemsResponse]]] = []
        for begin in range(1, len(items), 5):
            for _ in range(3 if len(watching) < 50 else 0):
                call = tracker.stub.WatchItems(pb.WatchItemsRequest(execution_id="e"))
                watching.append(asyncio.create_task(read_all(call)))
            await tracker.record(*items[begin : begin + 5])
        assert len(watching) >= 50
        async with asyncio.timeout(60):
            for seen in await asyncio.gather(*watching):
                assert [one.item.item_id for one in seen] == [item.item_id for item in items]
                assert [one.position for one in seen] == list(range(1, len(items) + 1))


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_pages_are_stable_while_records_pour_in(database: str, tmp_path: Path) -> None:
    """Paging while executions are added shows all that were there, each once, in order."""
    async with running_tracker(tmp_path, files=False, database_url=url_of(database)) as tracker:
        for number in range(200):
            await tracker.record(*make_run(f"old{number}", 3))

        poured: list[str] = []

        def more_than(count: int) -> bool:
            return len(poured) > count

        async def pour() -> None:
            while True:
                names = [f"new{len(poured) + n}" for n in range(50)]
                await tracker.record(*(item for name in names for item in make_run(name, 3)))
                poured.extend(names)

        pouring = asyncio.create_task(pour())
        seen: list[str] = []
        request = pb.ListExecutionsRequest(page_size=7)
        while True:
            await eventually(partial(more_than, len(poured)), within_seconds=60)
            page = await tracker.stub.ListExecutions(request)
            seen += [one.execution_id for one in page.executions]
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)
        old = [name for name in seen if name.startswith("old")]
        assert sorted(old) == sorted(f"old{number}" for number in range(200))
        assert len(set(seen)) == len(seen)

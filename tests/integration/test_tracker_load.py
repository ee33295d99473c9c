"""Many at once: watchers, pages under a stream of new records, a database that restarts."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import grpc
import pytest

from servicekit.errors import Code, remote_error
from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from tests.integration.tracker import make_run, new_id, read_all, running_tracker
from tests.postgres import PostgresServer, fresh_database

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.tracker import Item, Response, Tracker


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

        async def pour() -> None:
            number = 0
            while True:
                runs = [item for n in range(50) for item in make_run(f"new{number + n}", 3)]
                await tracker.record(*runs)
                number += 50

        pouring = asyncio.create_task(pour())
        seen: list[str] = []
        request = pb.ListExecutionsRequest(page_size=7)
        while True:
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


async def record_surely(tracker: Tracker, items: list[Item]) -> Response:
    """Send a batch again and again until it is acknowledged, as producers do."""
    while True:
        try:
            return await tracker.record(*items)
        except grpc.RpcError as exc:
            assert remote_error(exc).code in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED)
            await asyncio.sleep(0.05)


@pytest.mark.drill
async def test_postgres_restarts_under_load(tmp_path: Path) -> None:
    """While PostgreSQL restarts again and again, no acknowledged item is lost, none is twice."""
    choice = random.Random(20)
    server = PostgresServer()
    try:
        async with running_tracker(tmp_path, database_url=server.create("tracker")) as tracker:
            runs = {new_id(): choice.randrange(1, 15) for _ in range(200)}

            async def produce(name: str, cut: int) -> None:
                items = make_run(name, 15)
                for part in (items[:cut], items[cut:]):
                    await asyncio.sleep(choice.random() * 6)
                    await record_surely(tracker, part)

            async def restart() -> None:
                for _ in range(4):
                    await asyncio.sleep(choice.random())
                    await asyncio.to_thread(server.stop)
                    await asyncio.to_thread(server.start)

            await asyncio.gather(restart(), *(produce(name, cut) for name, cut in runs.items()))
            for name in runs:
                record = await tracker.read(name)
                assert record.summary.complete
                assert [item.sequence_number for item in record.items] == list(range(1, 16))
                found = await tracker.stub.VerifyChain(pb.VerifyChainRequest(execution_id=name))
                assert (found.state, found.item_count) == (pb.CHAIN_STATE_VALID, 15)
    finally:
        server.stop()

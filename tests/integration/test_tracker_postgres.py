"""A tracker on PostgreSQL, through the front door."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from tests.integration.tracker import (
    failure,
    make_item,
    make_run,
    make_start,
    read_all,
    running_tracker,
)
from tests.postgres import fresh_database
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path


async def test_trackers_share_a_database(tmp_path: Path) -> None:
    """What one tracker records, the watchers of another see live; any writes its file, once."""
    url = fresh_database()
    async with (
        running_tracker(tmp_path / "one", database_url=url) as one,
        running_tracker(tmp_path / "two", database_url=url) as two,
    ):
        items = make_run("e", 30)
        await one.record(*items[:1])
        request = pb.WatchItemsRequest(execution_id="e")
        watching = asyncio.create_task(read_all(two.stub.WatchItems(request)))
        for item in items[1:]:
            await one.record(item)
        seen = await asyncio.wait_for(watching, 20)
        assert [response.item.item_id for response in seen] == [item.item_id for item in items]
        assert [response.position for response in seen] == list(range(1, 31))
        copies = [tracker.files / "dada" / "e.json" for tracker in (one, two)]
        await eventually(lambda: any(copy.exists() for copy in copies))

        async def found() -> bool:
            listed = await two.stub.ListExecutions(pb.ListExecutionsRequest(text="blume"))
            return [one.execution_id for one in listed.executions] == ["e"]

        await eventually(found)
        receipt = (await two.stub.EraseUser(pb.EraseUserRequest(user_id="anna"))).receipt
        assert (receipt.execution_count, receipt.item_count) == (1, 30)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_texts_with_a_zero_are_stored(database: str, tmp_path: Path) -> None:
    """U+0000, which not every database can hold, becomes U+FFFD wherever a text may have it."""
    url = fresh_database() if database == "postgres" else ""
    async with running_tracker(tmp_path, database_url=url) as tracker:
        odd = make_item("e", 2, "user_input_text", stage=1, content="a\0b", model_used="m\0")
        odd.media.uri, odd.media.filename = "u\0", "f\0"
        start = make_start("e", config_name="c\0", session_id="s\0")
        beat = pb.ExecutionHeartbeat(execution_id="e", epoch=1, owner_address="o\0")
        response = await tracker.record(start, odd, heartbeats=[beat])
        assert (response.accepted_count, list(response.refused)) == (2, [])
        record = await tracker.read("e")
        assert record.items[1].content == "a\ufffdb"
        assert record.summary.config_name == "c\ufffd"
        for request in (
            pb.ListExecutionsRequest(config_name="x\0", model_used="\0", text="a\0"),
            pb.ListExecutionsRequest(user_id="\0"),
        ):
            assert not (await tracker.stub.ListExecutions(request)).executions
        unknown = tracker.stub.GetExecution(pb.GetExecutionRequest(execution_id="\0"))
        assert (await failure(unknown)).reason == "EXECUTION_NOT_FOUND"

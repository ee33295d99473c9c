"""Watching and exporting through the tracker's front door."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from servicekit.channel import open_channel
from servicekit.errors import Code
from servicekit.principals import Role, identity_metadata
from servicekit.server import start_server
from stellwerk.tracker.v1 import execution_pb2, export_service_pb2, tracker_service_pb2
from tests.integration.tracker import (
    STRANGER,
    Request,
    Tracker,
    failure,
    make_item,
    make_run,
    make_start,
    new_id,
    read_all,
    running_tracker,
    tracker_on,
    tracker_settings,
)
from tracker_service.export.json_form import from_json
from tracker_service.service import registration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pb = tracker_service_pb2


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Tracker]:
    """A tracker with an empty database."""
    async with running_tracker(tmp_path) as tracker:
        yield tracker


# --- watching ----------------------------------------------------------------------------------


async def test_watchers_see_everything_once_under_load(tracker: Tracker) -> None:
    """Watchers that begin at any moment see each item once, in one order, and then the end."""
    execution_id = new_id()
    items = make_run(execution_id, 400)
    await tracker.record(items[0])

    async def watch(after_position: int) -> list[int]:
        request = pb.WatchItemsRequest(execution_id=execution_id, after_position=after_position)
        responses = await read_all(tracker.stub.WatchItems(request))
        assert responses[-1].state == execution_pb2.EXECUTION_STATE_COMPLETED
        assert all(one.item.sequence_number == one.position for one in responses)
        return [one.position for one in responses]

    watchers = [asyncio.create_task(watch(0))]
    for begin in range(1, 400, 7):
        await tracker.record(*items[begin : begin + 7])
        if begin % 5 == 0:
            watchers.append(asyncio.create_task(watch(begin)))
    histories = await asyncio.wait_for(asyncio.gather(*watchers), 30)
    assert all(history == list(range(history[0], 401)) for history in histories)
    assert histories[0][0] == 1


async def test_watch_ends_when_nothing_comes(tracker: Tracker) -> None:
    """A watcher of a quiet execution gets its history, and the end after its own limit."""
    execution_id = new_id()
    await tracker.record(make_start(execution_id))
    request = pb.WatchItemsRequest(execution_id=execution_id)
    request.max_wait_duration.nanos = 1_000_000
    responses = await read_all(tracker.stub.WatchItems(request))
    assert [(one.position, one.state) for one in responses] == [
        (1, execution_pb2.EXECUTION_STATE_RUNNING)
    ]


async def test_watch_of_incomplete_record_waits_for_the_rest(tracker: Tracker) -> None:
    """Behind a terminal item a watch goes on until the gap before it is closed."""
    execution_id = new_id()
    items = make_run(execution_id, 5)
    await tracker.record(*items[:2], *items[3:])
    call = tracker.stub.WatchItems(pb.WatchItemsRequest(execution_id=execution_id))
    numbers = []
    async for response in call:
        numbers.append(response.item.sequence_number)
        if response.position == 4:
            await tracker.record(items[2])
    assert numbers == [1, 2, 4, 5, 3]


async def test_stopping_ends_streams_at_once(tmp_path: Path) -> None:
    """Watchers and producers hear DRAINING and need not be cut off after the grace time."""
    watching, recording = asyncio.Event(), asyncio.Event()

    async def keep_watching(tracker: Tracker, execution_id: str) -> None:
        call = tracker.stub.WatchItems(pb.WatchItemsRequest(execution_id=execution_id))
        async for _ in call:
            watching.set()

    async def keep_recording(tracker: Tracker) -> None:
        async def requests() -> AsyncIterator[Request]:
            yield Request(items=[make_start(new_id())])
            await asyncio.Event().wait()

        async for _ in tracker.stub.RecordItems(requests()):
            recording.set()

    async with AsyncExitStack() as connected, AsyncExitStack() as running:
        settings = tracker_settings(tmp_path, grace_seconds=60)
        server = await running.enter_async_context(start_server(settings, registration(settings)))
        channel = await connected.enter_async_context(open_channel(server.address))
        tracker = tracker_on(channel, tmp_path)
        execution_id = new_id()
        await tracker.record(make_start(execution_id))
        tasks = [
            asyncio.create_task(failure(keep_watching(tracker, execution_id))),
            asyncio.create_task(failure(keep_recording(tracker))),
        ]
        await asyncio.wait_for(asyncio.gather(watching.wait(), recording.wait()), 10)
        await asyncio.wait_for(running.aclose(), 10)
        errors = await asyncio.gather(*tasks)
    assert [(one.code, one.reason) for one in errors] == [(Code.UNAVAILABLE, "DRAINING")] * 2


# --- exporting ---------------------------------------------------------------------------------


async def export(tracker: Tracker, metadata: Any = (), **fields: Any) -> list[Any]:
    """Return the chunks of an export."""
    request = export_service_pb2.ExportExecutionsRequest(**fields)
    return await read_all(tracker.exports.ExportExecutions(request, metadata=metadata))


async def test_exports_hold_the_records_in_their_form(tracker: Tracker) -> None:
    """JSON is an array of records, JSON Lines one record a line; both say type and name."""
    ids = [new_id() for _ in range(3)]
    for execution_id in ids:
        await tracker.record(*make_run(execution_id))
    chunks = await export(tracker, format=export_service_pb2.EXPORT_FORMAT_JSON)
    assert (chunks[0].mime_type, chunks[0].filename) == ("application/json", "executions.json")
    forms = json.loads(b"".join(chunk.data for chunk in chunks))
    assert [from_json(form).summary.execution_id for form in forms] == ids
    chunks = await export(
        tracker, format=export_service_pb2.EXPORT_FORMAT_JSON_LINES, execution_ids=ids[:2]
    )
    lines = b"".join(chunk.data for chunk in chunks).decode().splitlines()
    assert [json.loads(line) for line in lines] == forms[:2]
    nothing = await export(
        tracker, format=export_service_pb2.EXPORT_FORMAT_JSON, config_name="none"
    )
    assert json.loads(nothing[0].data) == []


async def test_export_goes_on_from_any_cursor(tracker: Tracker) -> None:
    """The rest behind each cursor makes the same file, though executions come in between."""
    for _ in range(4):
        execution_id = new_id()
        large = [make_item(execution_id, n, content="ä" * 200_000) for n in range(2, 6)]
        end = make_item(execution_id, 6, "pipeline_complete", stage=5)
        await tracker.record(make_start(execution_id), *large, end)
    for form in (
        export_service_pb2.EXPORT_FORMAT_JSON,
        export_service_pb2.EXPORT_FORMAT_JSON_LINES,
    ):
        chunks = await export(tracker, format=form)
        assert len(chunks) > 5
        assert all(len(chunk.data) <= 1024 * 1024 for chunk in chunks)
        whole = b"".join(chunk.data for chunk in chunks)
        await tracker.record(*make_run(new_id()))
        out = b""
        for chunk in chunks:
            out += chunk.data
            rest = await export(tracker, format=form, cursor=chunk.cursor)
            assert out + b"".join(one.data for one in rest) == whole


async def test_export_errors_are_as_documented(tracker: Tracker) -> None:
    """Format, cursor, states and ids are checked; foreign ids read as unknown."""
    execution_id = new_id()
    await tracker.record(*make_run(execution_id))
    json_format = export_service_pb2.EXPORT_FORMAT_JSON
    researcher = identity_metadata(user="r", role=Role.RESEARCHER)
    cases: list[tuple[dict[str, Any], Code, str]] = [
        ({}, Code.INVALID_ARGUMENT, "FORMAT_UNSPECIFIED"),
        ({"format": json_format, "cursor": "x"}, Code.INVALID_ARGUMENT, "CURSOR_INVALID"),
        ({"format": json_format, "states": [0]}, Code.INVALID_ARGUMENT, "STATE_UNSPECIFIED"),
        (
            {"format": json_format, "execution_ids": ["e"] * 10_001},
            Code.INVALID_ARGUMENT,
            "TOO_MANY_IDS",
        ),
        (
            {"format": json_format, "execution_ids": [new_id()]},
            Code.NOT_FOUND,
            "EXECUTION_NOT_FOUND",
        ),
    ]
    for fields, code, reason in cases:
        error = await failure(export(tracker, researcher, **fields))
        assert (error.code, error.reason) == (code, reason)
    foreign = {"format": json_format, "execution_ids": [execution_id]}
    assert (await failure(export(tracker, STRANGER, **foreign))).reason == "EXECUTION_NOT_FOUND"

"""The tracker is killed while somebody goes from data to documents, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import pytest

from servicekit.channel import open_channel
from servicekit.errors import Code, remote_error
from tests.integration.export_workflows import (
    NOWHERE,
    document,
    edit,
    finish,
    read,
    regenerate,
    start,
)
from tests.integration.tracker import Process, new_id, tracker_on
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.integration.export_workflows import File
    from tests.integration.tracker import Tracker

T = TypeVar("T")

WORKFLOWS = 3
KILLS = 12
MOST_SECONDS = 240.0
DATA = {"items": [{"id": number, "price": number} for number in range(50)]}
_PASSING = frozenset({Code.UNAVAILABLE, Code.CANCELLED, Code.UNKNOWN, Code.DEADLINE_EXCEEDED})


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call until it is answered by a tracker that lives."""
    while True:
        try:
            return await call()
        except grpc.RpcError as exc:
            error = remote_error(exc)
            assert error.code in _PASSING, error
            await asyncio.sleep(0.1)


async def go_all_the_way(tracker: Tracker, name: str) -> list[File]:
    """Go through all stages of a workflow, whatever happens to the tracker."""
    edit_ids = [new_id(), new_id()]
    await insist(partial(start, tracker, (), export_workflow_id=name, document=document(DATA)))
    for number, edit_id in enumerate(edit_ids):
        data = {"items": [one | {"price": -number} for one in DATA["items"]]}
        await insist(partial(edit, tracker, name, data, (), record_id=edit_id))
    files = [await insist(partial(finish, tracker, name, "pdf", "full_report", ()))]
    for form in ("docx", "xlsx"):
        files.append(await insist(partial(regenerate, tracker, name, form, who=())))
    return files


@pytest.mark.timeout(600)
async def test_a_workflow_goes_on_whenever_the_tracker_is_killed(
    tmp_path: Path, seed: int, tell: Callable[[str], None]
) -> None:
    """Every stage stands once, every file is whole, and nothing without an owner is left."""
    chance = random.Random(seed)
    process = Process(tmp_path, GENERATION_ADDRESS=NOWHERE)
    names = [new_id() for _ in range(WORKFLOWS)]
    process.start()
    try:
        async with open_channel(process.address) as channel, asyncio.timeout(MOST_SECONDS):
            tracker = tracker_on(channel, tmp_path)
            working = [
                asyncio.create_task(go_all_the_way(tracker, name), name=name) for name in names
            ]
            kills = 0
            while kills < KILLS and not all(one.done() for one in working):
                await insist(partial(read_or_none, tracker, names[0]))
                await asyncio.sleep(chance.uniform(0.0, 1.5))
                await asyncio.to_thread(process.end)
                process.start()
                kills += 1
            made = await asyncio.gather(*working)
            for name, files in zip(names, made, strict=True):
                await check(tracker, name, files)
            await eventually(lambda: not list((tmp_path / "exports").glob("*")))
    finally:
        await asyncio.to_thread(process.end)
    assert orphans(tmp_path) == 0
    tell(f"{kills} kills, {WORKFLOWS} workflows, all stages once, no orphan")


async def read_or_none(tracker: Tracker, name: str) -> Any:
    """Read a workflow; None: it is not there yet."""
    try:
        return await read(tracker, name, ())
    except grpc.RpcError as exc:
        if remote_error(exc).code is Code.NOT_FOUND:
            return None
        raise


async def check(tracker: Tracker, name: str, files: list[File]) -> None:
    """Check that a workflow has just what was done, and its files just their bytes."""
    workflow, records = await read(tracker, name, ())
    assert [(one.stage, one.version) for one in records] == [
        (1, 1),
        (2, 1),
        (2, 2),
        (3, 1),
        (3, 2),
        (3, 3),
    ]
    assert workflow.deliverable_count == 3
    for record, file in zip(records[3:], files, strict=True):
        assert record == file.record
        digest = hashlib.sha256(file.data).hexdigest()
        assert file.final.deliverable.content_hash == f"sha256:{digest}"
    changed = json.loads(records[2].user_modifications.modified_data_json)
    assert {one["price"] for one in changed["items"]} == {-1}


def orphans(folder: Path) -> int:
    """Count rows that belong to nothing."""
    with contextlib.closing(sqlite3.connect(folder / "tracker.sqlite3")) as connection:
        counts = [
            connection.execute(
                f"SELECT COUNT(*) FROM {table} "
                "WHERE workflow_key NOT IN (SELECT key FROM export_workflows)"
            ).fetchone()[0]
            for table in ("export_stages", "export_pieces", "export_sources")
        ]
        (unrecorded,) = connection.execute(
            "SELECT COUNT(*) FROM export_pieces AS piece WHERE NOT EXISTS (SELECT 1 FROM "
            "export_stages AS one WHERE one.workflow_key = piece.workflow_key AND one.stage = 3 "
            "AND one.version = piece.version)"
        ).fetchone()
    return int(sum(counts)) + int(unrecorded)

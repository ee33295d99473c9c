"""The JSON files that the tracker keeps beside its database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stellwerk.tracker.v1 import tracker_service_pb2
from tests.integration.tracker import (
    Tracker,
    make_run,
    new_id,
    running_tracker,
)
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pb = tracker_service_pb2


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Tracker]:
    """A tracker with an empty database."""
    async with running_tracker(tmp_path) as tracker:
        yield tracker


def read_file(path: Path) -> Any:
    """Return the JSON of a file; None while it is not there."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


async def test_complete_record_becomes_a_file(tracker: Tracker) -> None:
    """A record that ends with a gap has no file before it is complete, then the whole record."""
    execution_id = new_id()
    items = make_run(execution_id, 5)
    path = tracker.files / "dada" / f"{execution_id}.json"
    await tracker.record(*items[:2], *items[3:])
    assert not path.exists()
    await tracker.record(items[2])
    form = await eventually(lambda: read_file(path))
    assert (form["status"], form["complete"], len(form["items"])) == ("completed", True, 5)


async def test_missing_files_are_written_at_the_next_start(tmp_path: Path) -> None:
    """Files that were lost, or not written before a stop, are there soon after the next start."""
    lost, unwritten = new_id(), new_id()
    async with running_tracker(tmp_path) as tracker:
        await tracker.record(*make_run(lost))
        path = tracker.files / "dada" / f"{lost}.json"
        await eventually(path.exists)
    path.unlink()
    async with running_tracker(tmp_path, files=False) as tracker:
        await tracker.record(*make_run(unwritten))
    async with running_tracker(tmp_path) as tracker:
        for execution_id in (lost, unwritten):
            await eventually((tracker.files / "dada" / f"{execution_id}.json").exists)


async def test_file_of_running_record_is_refreshed(tmp_path: Path) -> None:
    """A running record has a file that follows it from time to time."""
    async with running_tracker(tmp_path, file_refresh_seconds=0.05) as tracker:
        execution_id = new_id()
        path = tracker.files / "dada" / f"{execution_id}.json"
        for number, item in enumerate(make_run(execution_id)[:3], start=1):
            await tracker.record(item)

            def has_grown(number: int = number) -> bool:
                form = read_file(path)
                return form is not None and len(form["items"]) == number

            await eventually(has_grown)


async def test_files_that_cannot_be_written_delay_nobody(tmp_path: Path) -> None:
    """A blocked folder costs a warning; records are stored and acknowledged as ever."""
    (tmp_path / "research_data").write_text("in the way")
    async with running_tracker(tmp_path) as tracker:
        for _ in range(3):
            execution_id = new_id()
            assert (await tracker.record(*make_run(execution_id))).accepted_count == 4
            assert (await tracker.read(execution_id)).summary.complete


async def test_sessions_and_days_have_files(tmp_path: Path) -> None:
    """A session's file lists its executions, oldest first; the daily figures count them."""
    async with running_tracker(tmp_path, file_refresh_seconds=0.2) as tracker:
        await tracker.record(*make_run("a"), *make_run("b"), *make_run("c", user="berta"))
        session = tracker.files / "sessions" / "s-anna.json"

        def listed() -> list[str]:
            form = read_file(session) or {"executions": []}
            return [one["execution_id"] for one in form["executions"]]

        await eventually(lambda: listed() == ["a", "b"])
        assert "Eine Blume" not in session.read_text(encoding="utf-8")
        daily = tracker.files / "analytics" / "daily_stats.json"

        def days() -> list[Any]:
            form: dict[str, list[Any]] = read_file(daily) or {"days": []}
            return form["days"]

        await eventually(lambda: days() and days()[0]["executions"] == 3)
        (day,) = days()
        assert (day["day"], day["states"]) == ("2023-11-14", {"completed": 3})
        assert day["duration_p50_seconds"] == 3.0
        assert read_file(daily)["configs"][0]["config_name"] == "dada"
        delete = pb.DeleteExecutionsRequest(execution_ids=["a"])
        await tracker.stub.DeleteExecutions(delete)
        assert listed() == ["b"]
        await tracker.stub.DeleteExecutions(pb.DeleteExecutionsRequest(session_id="s-anna"))
        assert not session.exists()

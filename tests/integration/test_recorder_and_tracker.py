"""The recorder and the real tracker, which together promise that nothing is lost."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from servicekit.channel import open_channel
from servicekit.errors import remote_error
from stellwerk.tracker.v1 import execution_pb2, tracker_service_pb2
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from stellwerk_client.record_json import record_json
from stellwerk_client.recorder import Limits, Recorder
from tests.integration.recording import tracker_process
from tests.support import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUICK = Limits(max_backoff_seconds=0.1, ack_seconds=2)
WARNINGS = 100


def begin(recorder: Recorder, execution_id: str) -> None:
    """Record the start of an execution."""
    recorder.record_plan("a" * 64, b'{"config":"dada"}')
    recorder.record(
        execution_id=execution_id,
        epoch=1,
        sequence_number=1,
        stage=0,
        item_type="pipeline_start",
        media_type="metadata",
        metadata={
            "config_name": "dada",
            "safety_level": "kids",
            "user_id": "u",
            "session_id": "s",
            "plan_digest": "a" * 64,
            "software_version": "0",
        },
    )


def go_on(recorder: Recorder, execution_id: str) -> None:
    """Record all but the end."""
    for number in range(2, WARNINGS + 2):
        recorder.record(
            execution_id=execution_id,
            epoch=1,
            sequence_number=number,
            stage=1,
            item_type="warning",
            media_type="text",
            content=f"Blume {number}",
            metadata={"seed": 2**64 - number},
        )


def end(recorder: Recorder, execution_id: str) -> None:
    """Record the end."""
    recorder.record(
        execution_id=execution_id,
        epoch=1,
        sequence_number=WARNINGS + 2,
        stage=5,
        item_type="pipeline_complete",
        media_type="metadata",
        metadata={"total_items_logged": WARNINGS + 2, "outputs_generated": 0},
    )


def acks_beyond(recorder: Recorder, count: int) -> Callable[[], bool]:
    """Tell whether the tracker has acked more than `count` items."""
    return lambda: recorder.stats().acked > count


async def complete_record(port: int, execution_id: str) -> execution_pb2.ExecutionRecord:
    """Wait until an execution is recorded without a gap, and return its record."""

    async def ask() -> Any:
        request = tracker_service_pb2.GetExecutionRequest(execution_id=execution_id)
        try:
            record = (await TrackerServiceStub(channel).GetExecution(request, timeout=5)).record
        except grpc.aio.AioRpcError:
            return None
        return record if record.summary.complete else None

    async with open_channel(f"127.0.0.1:{port}") as channel:
        record: execution_pb2.ExecutionRecord = await eventually(ask, within_seconds=30)
        return record


async def test_an_execution_becomes_a_complete_record(tmp_path: Path) -> None:
    """What was recorded is read back: numbers, texts, seeds and plan."""
    port = free_port()
    with (
        tracker_process(tmp_path / "data", port),
        Recorder(tmp_path / "spool", f"127.0.0.1:{port}", limits=QUICK) as recorder,
    ):
        begin(recorder, "e1")
        go_on(recorder, "e1")
        end(recorder, "e1")
        form = record_json(await complete_record(port, "e1"))
        await eventually(lambda: recorder.stats().pending == 0)
        assert recorder.stats().refused == 0
    assert (form["status"], form["config_name"], form["safety_level"]) == (
        "completed",
        "dada",
        "kids",
    )
    numbers = [item["sequence_number"] for item in form["items"]]
    assert numbers == list(range(1, WARNINGS + 3))
    assert form["items"][1]["metadata"] == {"seed": 2**64 - 2}
    assert form["plan_digest"] == "a" * 64


async def test_killed_and_stopped_trackers_lose_nothing(tmp_path: Path) -> None:
    """Through SIGKILL and SIGSTOP of the tracker every execution becomes complete, once."""
    port, ids = free_port(), [f"e{number}" for number in range(4)]
    with Recorder(tmp_path / "spool", f"127.0.0.1:{port}", limits=QUICK) as recorder:
        for execution_id in ids:
            begin(recorder, execution_id)
            with tracker_process(tmp_path / "data", port) as process:
                await eventually(acks_beyond(recorder, recorder.stats().acked))
                go_on(recorder, execution_id)
                process.send_signal(signal.SIGSTOP)
                end(recorder, execution_id)
        with tracker_process(tmp_path / "data", port):
            records = [await complete_record(port, execution_id) for execution_id in ids]
            await eventually(lambda: recorder.stats().pending == 0)
    for record in records:
        assert len({item.item_id for item in record.items}) == len(record.items) == WARNINGS + 2
        assert json.loads(record.items[1].metadata_json) == {"seed": 2**64 - 2}


async def test_a_tracker_that_is_stopped_gently_is_found_again(tmp_path: Path) -> None:
    """A tracker that drains and starts anew goes on receiving where it was."""
    port = free_port()
    with Recorder(tmp_path / "spool", f"127.0.0.1:{port}", limits=QUICK) as recorder:
        with tracker_process(tmp_path / "data", port) as process:
            begin(recorder, "e")
            await eventually(lambda: recorder.stats().acked == 1)
            go_on(recorder, "e")
            process.terminate()
            await asyncio.to_thread(process.wait)
        end(recorder, "e")
        with tracker_process(tmp_path / "data", port):
            record = await complete_record(port, "e")
    assert len(record.items) == WARNINGS + 2


async def test_a_tracker_outlives_a_full_disk(tmp_path: Path) -> None:
    """While no file of the tracker can grow items wait; with room again they are stored, once."""
    port = free_port()
    with (
        tracker_process(tmp_path / "data", port) as process,
        Recorder(tmp_path / "spool", f"127.0.0.1:{port}", limits=QUICK) as recorder,
    ):
        begin(recorder, "e")
        await eventually(lambda: recorder.stats().acked == 1)
        room = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (32 * 1024, room[1]))
        async with open_channel(f"127.0.0.1:{port}") as channel:
            claim = TrackerServiceStub(channel).ClaimExecution
            request = tracker_service_pb2.ClaimExecutionRequest(owner_address="127.0.0.1:1")
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                for number in range(1_000):  # the log of the database still has some room
                    request.execution_id = f"filler{number}"
                    await claim(request, timeout=20)
        assert remote_error(raised.value).reason == "STORE_UNAVAILABLE"
        go_on(recorder, "e")
        end(recorder, "e")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, room)
        record = await complete_record(port, "e")
    assert len(record.items) == WARNINGS + 2

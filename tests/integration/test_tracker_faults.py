"""The tracker under messages that nobody should send, and under its own death."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servicekit.channel import open_channel
from servicekit.errors import Code, remote_error
from stellwerk.tracker.v1 import export_service_pb2, tracker_service_pb2
from stellwerk_client.recorder import Recorder
from tests.integration.mutations import IDS, INT32, INT64, TEXT, mutated_items
from tests.integration.tracker import (
    Process,
    Request,
    Tracker,
    make_run,
    read_all,
    running_tracker,
    tracker_on,
)
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pb = tracker_service_pb2

HEARTBEATS = st.builds(
    pb.ExecutionHeartbeat,
    execution_id=IDS,
    epoch=INT32,
    last_sequence_number=INT64,
    owner_address=TEXT,
    released=st.booleans(),
)
PLANS = st.builds(pb.ExecutionPlan, plan_digest=TEXT, plan_json=st.binary(max_size=20))
BATCHES = st.builds(
    Request,
    items=st.lists(mutated_items(), max_size=6),
    heartbeats=st.lists(HEARTBEATS, max_size=2),
    plans=st.lists(PLANS, max_size=1),
    batch_number=INT64,
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, Any]:
    """Draw an RPC and a request to it."""
    limits: dict[str, Any] = {"states": draw(st.lists(INT32, max_size=2)), "session_id": draw(IDS)}
    name = draw(st.sampled_from(["claim", "get", "plan", "list", "watch", "export"]))
    request: Any
    if name == "claim":
        request = pb.ClaimExecutionRequest(
            execution_id=draw(IDS), owner_address=draw(IDS), idempotency_key=draw(TEXT)
        )
        if draw(st.booleans()):
            request.after_epoch = draw(INT32)
            request.lease_duration.seconds = draw(INT64)
    elif name == "list":
        request = pb.ListExecutionsRequest(
            page_size=draw(INT32), page_token=draw(TEXT | st.just("")), **limits
        )
        request.start_time_from.seconds = draw(INT64)
    elif name == "watch":
        request = pb.WatchItemsRequest(execution_id=draw(IDS), after_position=draw(INT64))
        request.max_wait_duration.seconds = draw(st.sampled_from([0, -(2**63)]))
    elif name == "export":
        request = export_service_pb2.ExportExecutionsRequest(
            format=export_service_pb2.ExportFormat.ValueType(draw(INT32)),
            cursor=draw(TEXT | st.just("")),
            **limits,
        )
        request.start_time_before.seconds = draw(INT64)
    else:
        make = pb.GetExecutionRequest if name == "get" else pb.GetPlanRequest
        request = make(execution_id=draw(IDS))
    return name, request


async def code_of(tracker: Tracker, name: str, request: Any) -> str:
    """Return the status that a call ends with."""
    calls: dict[str, Any] = {
        "claim": tracker.stub.ClaimExecution,
        "get": tracker.stub.GetExecution,
        "plan": tracker.stub.GetPlan,
        "list": tracker.stub.ListExecutions,
        "watch": tracker.stub.WatchItems,
        "export": tracker.exports.ExportExecutions,
        "record": lambda one: tracker.stub.RecordItems(iter([one])),
    }
    call = calls[name](request)
    try:
        await (read_all(call) if hasattr(call, "__aiter__") else call)
    except grpc.RpcError as exc:
        return remote_error(exc).code
    return "OK"


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose database is filled by one example after the other."""
    return tmp_path_factory.mktemp("mutations")


@pytest.fixture
async def tracker(shared_folder: Path) -> AsyncIterator[Tracker]:
    """A tracker over the shared folder."""
    async with running_tracker(shared_folder, execution_lease_seconds=1) as tracker:
        yield tracker


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(BATCHES, min_size=1, max_size=2), question=questions())
async def test_mutated_messages_are_never_our_fault(
    tracker: Tracker, batches: list[Request], question: tuple[str, Any]
) -> None:
    """Whatever is sent, it is stored, refused with a reason, or answered with a proper status."""
    allowed = {"OK", Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION}
    for batch in batches:
        assert await code_of(tracker, "record", batch) in allowed
    assert await code_of(tracker, *question) in allowed
    everything = export_service_pb2.ExportExecutionsRequest(
        format=export_service_pb2.EXPORT_FORMAT_JSON
    )
    assert await code_of(tracker, "export", everything) == "OK"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A tracker process, not started; killed in the end."""
    process = Process(tmp_path)
    yield process
    process.end()


async def test_killed_tracker_loses_nothing_acknowledged(process: Process, tmp_path: Path) -> None:
    """Killed again and again under load, the tracker has every acknowledged item, once."""
    runs = {execution_id: make_run(execution_id, 60) for execution_id in map(str, range(40))}
    batches = [
        Request(items=[run[step] for run in runs.values()], batch_number=step) for step in range(60)
    ]
    acknowledged: list[int] = []
    for kill_after in (5, 25, 45, None):
        process.start()
        async with open_channel(process.address) as channel:
            tracker = tracker_on(channel, tmp_path)
            await asyncio.wait_for(channel.channel_ready(), 20)
            if acknowledged:
                for execution_id, run in runs.items():
                    stored = {item.item_id for item in (await tracker.read(execution_id)).items}
                    assert {run[step].item_id for step in acknowledged} <= stored
            with contextlib.suppress(grpc.RpcError):
                async for response in tracker.stub.RecordItems(iter(batches)):
                    assert response.accepted_count == 40
                    acknowledged.append(response.batch_number)
                    if kill_after is not None and len(set(acknowledged)) > kill_after:
                        process.end(signal.SIGKILL)
            if kill_after is None:
                for execution_id, run in runs.items():
                    record = await tracker.read(execution_id)
                    assert list(record.items) == run
                    assert record.summary.complete
    assert set(acknowledged) == set(range(60))
    assert process.end(signal.SIGTERM) == 0
    assert len(list((tmp_path / "research_data" / "dada").glob("*.json"))) == 40


async def test_second_tracker_stays_out(process: Process, tmp_path: Path) -> None:
    """A database that is in use is refused with exit code 78 instead of being shared."""
    async with running_tracker(tmp_path):
        process.start()
        code = await asyncio.to_thread(process.wait)
    assert code == 78


async def test_recorder_and_killed_tracker_lose_nothing(process: Process, tmp_path: Path) -> None:
    """What a recorder took is in the records once, though the tracker died again and again."""
    process.start()
    with Recorder(tmp_path / "spool", process.address) as recorder:
        for step in range(1, 101):
            before = recorder.stats().acked
            for execution in range(20):
                _record(recorder, f"e{execution}", step)
            if step % 25 == 0:
                # Killed in the midst of its work: it has acknowledged some of this round.
                await eventually(functools.partial(_has_acked_more, recorder, before))
                process.end(signal.SIGKILL)
                process.start()
        await eventually(lambda: recorder.stats().pending == 0, within_seconds=30)
        assert recorder.stats().refused == 0
    async with open_channel(process.address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 20)
        tracker = tracker_on(channel, tmp_path)
        for execution in range(20):
            record = await tracker.read(f"e{execution}")
            assert [item.sequence_number for item in record.items] == list(range(1, 101))
            assert record.summary.complete


def _has_acked_more(recorder: Recorder, count: int) -> bool:
    return recorder.stats().acked > count


def _record(recorder: Recorder, execution_id: str, number: int) -> None:
    stage, item_type = {1: (0, "pipeline_start"), 100: (5, "pipeline_complete")}.get(
        number, (1, "warning")
    )
    recorder.record(
        execution_id=execution_id,
        epoch=1,
        sequence_number=number,
        stage=stage,
        item_type=item_type,
        metadata={"config_name": "dada", "user_id": "anna", "session_id": "s-anna"},
    )

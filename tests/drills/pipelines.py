"""Executions of fifteen items, begun one after the other as people do, and what became of them."""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from orchestrator.configs.folders import shipped_configs_dir
from servicekit.channel import open_channel
from stellwerk.common.v1 import types_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.tracker.v1 import execution_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import (
        OrchestratorServiceAsyncStub,
    )
    from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceAsyncStub

ITEMS = 15
"""Items of a text-only telephone game of `ITERATIONS` iterations at the level for adults."""
ITERATIONS = 6
RUN_SECONDS = 120.0
CATCH_UP_SECONDS = 120.0


@dataclass(frozen=True)
class Run:
    """What the caller of an execution saw.

    Attributes:
        execution_id: Its id.
        state: The last state.
        item_ids: Its items, in order.
        seconds: From the call to the end of the stream.
    """

    execution_id: str
    state: int
    item_ids: tuple[str, ...]
    seconds: float


def configs_with_short_game(folder: Path) -> Path:
    """Copy the shipped configs with a telephone game of `ITERATIONS`; returns the copy."""
    copy = folder / "configs"
    shutil.copytree(shipped_configs_dir(), copy)
    path = copy / "pipelines" / "telephone_game.json"
    pipeline = json.loads(path.read_text())
    pipeline["control_flow"]["iterations"] = ITERATIONS
    path.write_text(json.dumps(pipeline))
    return copy


def game_request() -> orchestrator_pb2.RunExecutionRequest:
    """Ask for a telephone game that makes no picture."""
    return orchestrator_pb2.RunExecutionRequest(
        config="stillepost",
        texts=["Eine Blume auf der Wiese"],
        text_only=True,
        safety_level=types_pb2.SAFETY_LEVEL_ADULT,
    )


async def run_many(address: str, count: int, gap_seconds: float) -> list[Run]:
    """Begin an execution every `gap_seconds`, whatever becomes of the others; wait for all."""
    async with open_channel(address) as channel, asyncio.TaskGroup() as group:
        stub = OrchestratorServiceStub(channel)
        begin = time.monotonic()
        tasks = [
            group.create_task(_run_at(stub, begin + number * gap_seconds))
            for number in range(count)
        ]
    return [task.result() for task in tasks]


async def _run_at(stub: OrchestratorServiceAsyncStub, moment: float) -> Run:
    await asyncio.sleep(moment - time.monotonic())
    started = time.monotonic()
    call = stub.RunExecution(game_request(), timeout=RUN_SECONDS)
    events = [response.event async for response in call]
    seconds = time.monotonic() - started
    item_ids = tuple(
        event.item_recorded.item.item_id for event in events if event.HasField("item_recorded")
    )
    return Run(events[-1].execution_id, events[-1].state_changed.state, item_ids, seconds)


def milliseconds(runs: list[Run]) -> str:
    """Return median and 95th percentile of the durations, for people."""
    ordered = sorted(run.seconds * 1_000 for run in runs)
    p95 = ordered[int(len(ordered) * 0.95)]
    return f"p50 {statistics.median(ordered):.0f} ms, p95 {p95:.0f} ms"


async def assert_all_recorded(address: str, runs: list[Run]) -> None:
    """Check that each execution ended well, and that its record holds its items once, sealed."""
    async with open_channel(address) as channel:
        stub = TrackerServiceStub(channel)
        for run in runs:
            assert run.state == execution_pb2.EXECUTION_STATE_COMPLETED
            assert len(run.item_ids) == ITEMS
            record = await complete_record(stub, run.execution_id)
            assert [item.item_id for item in record.items] == list(run.item_ids)
            assert [item.sequence_number for item in record.items] == list(range(1, ITEMS + 1))
            await assert_chain(stub, run.execution_id, ITEMS)


async def assert_chain(stub: TrackerServiceAsyncStub, execution_id: str, item_count: int) -> None:
    """Check the hash chain of an execution."""
    request = tracker_pb2.VerifyChainRequest(execution_id=execution_id)
    found = await stub.VerifyChain(request, timeout=30)
    assert (found.state, found.item_count) == (tracker_pb2.CHAIN_STATE_VALID, item_count)


async def complete_record(
    stub: TrackerServiceAsyncStub, execution_id: str
) -> execution_pb2.ExecutionRecord:
    """Wait until the record of an execution is complete, and return it."""

    async def ask() -> execution_pb2.ExecutionRecord | None:
        record = await read_record(stub, execution_id)
        return record if record is not None and record.summary.complete else None

    found = await eventually(ask, within_seconds=CATCH_UP_SECONDS)
    assert found is not None
    return found


async def read_record(
    stub: TrackerServiceAsyncStub, execution_id: str
) -> execution_pb2.ExecutionRecord | None:
    """Return a record as it is now; None while the tracker does not know it or is away."""
    request = tracker_pb2.GetExecutionRequest(execution_id=execution_id)
    try:
        return (await stub.GetExecution(request, timeout=5)).record
    except grpc.aio.AioRpcError as exc:
        if exc.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE):
            return None
        raise

"""A tracker that is away for a minute, frozen or behind a silent network, while items go on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import statistics
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from servicekit.channel import open_channel
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from stellwerk_client.recorder import Recorder
from tests.drills.pipelines import assert_chain, complete_record
from tests.drills.silent_proxy import SilentProxy
from tests.integration.recording import tracker_process
from tests.support import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path
    from subprocess import Popen

    from structlog.typing import EventDict

OUTAGE_SECONDS = 60.0
GAP_SECONDS = 0.005
MOST_LOG_LINES = 4
"""One a minute, and what is said when a stream ends for another reason."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", ["frozen", "silent"])
async def test_a_minute_without_a_tracker_loses_nothing(
    tmp_path: Path, fault: str, tell: Callable[[str], None]
) -> None:
    """Items of a minute wait in a bounded spool, the log stays short, and all is recorded once."""
    port = free_port()
    proxy = SilentProxy(port)
    with tracker_process(tmp_path / "data", port) as process, capture_logs() as lines:
        async with proxy.serving() as address:
            with Recorder(tmp_path / "spool", address) as recorder:
                record(recorder, 1, "pipeline_start", stage=0)
                await eventually(lambda: recorder.stats().acked, within_seconds=60)
                async with outage(fault, process, proxy):
                    costs = await record_for(recorder, OUTAGE_SECONDS)
                    stats = recorder.stats()
                last = len(costs) + 2
                record(recorder, last, "pipeline_complete", stage=5)
                await eventually(lambda: recorder.stats().pending == 0, within_seconds=60)
        await assert_complete(f"127.0.0.1:{port}", last)
    assert stats.dropped == stats.in_memory == 0
    assert stats.pending == len(costs)
    assert len(troubles(lines)) <= MOST_LOG_LINES
    p99 = sorted(costs)[len(costs) * 99 // 100]
    tell(
        f"{len(costs)} items in {OUTAGE_SECONDS:.0f} s, spool {stats.spool_bytes // 1024} KiB, "
        f"record() p50 {statistics.median(costs):.1f} µs, p99 {p99:.1f} µs, "
        f"{len(troubles(lines))} log lines"
    )


@contextlib.asynccontextmanager
async def outage(fault: str, process: Popen[bytes], proxy: SilentProxy) -> AsyncIterator[None]:
    """Freeze the tracker, or let nothing come through to it."""
    if fault == "frozen":
        process.send_signal(signal.SIGSTOP)
        yield
        process.send_signal(signal.SIGCONT)
    else:
        proxy.speaks.clear()
        yield
        proxy.speaks.set()


async def record_for(recorder: Recorder, seconds: float) -> list[float]:
    """Record item after item; returns what each `record()` took, in microseconds."""
    costs: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.perf_counter_ns()
        record(recorder, len(costs) + 2)
        costs.append((time.perf_counter_ns() - started) / 1_000)
        await asyncio.sleep(GAP_SECONDS)
    return costs


def record(recorder: Recorder, number: int, item_type: str = "warning", stage: int = 1) -> None:
    """Record an item of one long execution."""
    recorder.record(
        execution_id="e",
        epoch=1,
        sequence_number=number,
        stage=stage,
        item_type=item_type,
        content="Eine Blume auf der Wiese",
        metadata={"config_name": "dada", "user_id": "u", "session_id": "s"},
    )


def troubles(lines: list[EventDict]) -> list[EventDict]:
    """Return the log lines that somebody would be worried by."""
    return [line for line in lines if line["log_level"] in ("warning", "error")]


async def assert_complete(address: str, count: int) -> None:
    """Check that the execution has its items, each once, under an unbroken chain."""
    async with open_channel(address) as channel:
        stub = TrackerServiceStub(channel)
        record = await complete_record(stub, "e")
        assert [item.sequence_number for item in record.items] == list(range(1, count + 1))
        await assert_chain(stub, "e", count)

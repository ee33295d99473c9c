"""What counting and tracing cost: an RPC and `record()`, with and without somebody who looks.

Numbers are always counted, so the cost of that is measured by itself and set beside a call. Looking
(a scrape every 100 ms, a hundred times as often as usual) and tracing are switched on and off in
turn in the same run; figures are medians over the rounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure, at_most, medians
from bench.report import main
from orchestrator.metrics import read_recorder
from servicekit.channel import open_channel
from servicekit.metrics import RPC_SECONDS, Meter
from servicekit.server import start_server
from servicekit.settings import ServiceSettings
from stellwerk_client.recorder import Limits, Recorder
from tests.fakes.otlp_sink import collecting
from tests.unit.servicekit.probe import nothing, probe, unary_unary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

LOOK_SECONDS = 0.1
GOAL_SHARE = 0.02
"""Counting may take so much of the shortest RPC there is."""

Values = dict[str, float]


def counting_us(count: int) -> float:
    """Return what noting one call costs, in microseconds."""
    seconds = Meter().distribution(RPC_SECONDS)
    started = time.perf_counter()
    for _ in range(count):
        seconds.observe(0.001, "stellwerk.tracker.v1.TrackerService/GetExecution", "OK")
    return (time.perf_counter() - started) / count * 1e6


@contextlib.asynccontextmanager
async def looking(look: Callable[[], object] | None) -> AsyncIterator[None]:
    """Call `look` in a thread, again and again; None: do not."""

    async def again() -> None:
        while look is not None:
            await asyncio.to_thread(look)
            await asyncio.sleep(LOOK_SECONDS)

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()


async def rpc_us(calls: int, *, traced: bool) -> float:
    """Return the median time of a call that does nothing, in microseconds."""
    with collecting() as (_, endpoint):
        settings = ServiceSettings(
            listen_address="127.0.0.1:0", otlp_endpoint=endpoint if traced else None
        )
        async with (
            start_server(settings, probe(nothing)) as server,
            open_channel(server.address) as channel,
        ):
            costs = []
            for _ in range(calls):
                started = time.perf_counter()
                await unary_unary(channel)
                costs.append(time.perf_counter() - started)
    return statistics.median(costs) * 1e6


async def record_us(items: int, folder: Path, *, watched: bool) -> float:
    """Return the median time of `record()` in microseconds; its tracker is dead."""
    recorder = Recorder(folder, "127.0.0.1:1", limits=Limits())
    meter = Meter()
    read_recorder(meter, recorder.stats, Limits().quota_bytes)
    try:
        async with looking(meter.text if watched else None):
            return await asyncio.to_thread(_record_all, recorder, items)
    finally:
        await asyncio.to_thread(recorder.close, 0.0)


def _record_all(recorder: Recorder, items: int) -> float:
    costs = []
    for number in range(1, items + 1):
        started = time.perf_counter()
        recorder.record(
            execution_id="0198c0de-0000-7000-8000-000000000000",
            epoch=1,
            sequence_number=number,
            stage=2,
            item_type="interception_result",
            content="Eine Blume auf der Wiese",
            metadata={"role": "interception"},
        )
        costs.append(time.perf_counter() - started)
    return statistics.median(costs) * 1e6


async def measure(short: bool) -> Values:
    """Measure every case once."""
    calls, items = (500, 5_000) if short else (2_000, 20_000)
    with tempfile.TemporaryDirectory(prefix="bench-metrics-") as name:
        folder = Path(name)
        return {
            "counting": counting_us(items),
            "rpc": await rpc_us(calls, traced=False),
            "traced": await rpc_us(calls, traced=True),
            "record": await record_us(items, folder / "a", watched=False),
            "watched": await record_us(items, folder / "b", watched=True),
        }


def figures(short: bool) -> Iterator[Figure]:
    """Measure every case in turn, in rounds."""
    found = medians([asyncio.run(measure(short)) for _ in range(1 if short else 5)])
    goals = (at_most(GOAL_SHARE, "ratio"),)
    yield Figure(
        "counting an RPC, of the shortest one", "µs", found["counting"], found["rpc"], goals
    )
    yield Figure("RPC that is traced", "µs", found["traced"], found["rpc"])
    yield Figure("record() while looked at", "µs", found["watched"], found["record"])


if __name__ == "__main__":
    main("metrics", figures)

"""What counting and tracing cost: an RPC and `record()`, with and without somebody who looks.

Usage: `python -m bench.metrics [--calls N] [--items N] [--rounds N] [--json FILE]`.

Numbers are always counted, so the cost of that is measured by itself and set beside a call. Looking
(a scrape every 100 ms, a hundred times as often as usual) and tracing are switched on and off in
turn in the same run; figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from orchestrator.metrics import read_recorder
from servicekit.channel import open_channel
from servicekit.metrics import RPC_SECONDS, Meter
from servicekit.server import start_server
from servicekit.settings import ServiceSettings
from stellwerk_client.recorder import Limits, Recorder
from tests.fakes.otlp_sink import collecting
from tests.unit.servicekit.probe import nothing, probe, unary_unary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LOOK_SECONDS = 0.1
GOAL_SHARE = 0.02
"""Counting may take so much of the shortest RPC there is."""

Figures = dict[str, float]


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


async def measure(options: argparse.Namespace) -> Figures:
    """Measure every case in turn, in rounds."""
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-metrics-") as name:
            folder = Path(name)
            rounds.append(
                {
                    "counting one call": counting_us(options.items),
                    "rpc": await rpc_us(options.calls, traced=False),
                    "rpc, traced": await rpc_us(options.calls, traced=True),
                    "record()": await record_us(options.items, folder / "a", watched=False),
                    "record(), looked at": await record_us(
                        options.items, folder / "b", watched=True
                    ),
                }
            )
    return {case: statistics.median(one[case] for one in rounds) for case in rounds[0]}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    figures = asyncio.run(measure(options))
    for case, value in figures.items():
        print(f"{case:<22} {value:>8.2f} µs")
    share = figures["counting one call"] / figures["rpc"]
    print(f"counting is {share:.1%} of an RPC; goal: at most {GOAL_SHARE:.0%}")
    if options.json:
        options.json.write_text(json.dumps({"metrics": figures}, indent=2))


if __name__ == "__main__":
    main()

"""What recording does to an event loop on which 200 executions run at once.

Usage: `python -m bench.record_lag [--executions N] [--rounds N] [--json FILE]`. Each execution has
15 items with short waits between them, as stages have; meanwhile a probe measures how late the
loop wakes it. "off" is no recording at all, the others are the states of `bench.record`; what
OpenTelemetry does to the same loop stands beside them. Each is measured in a fresh process, in
turn, several times over; the figures are medians.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench._recorders import EXECUTION_ID, ROOT, STATES, percentile, recording, serving

if TYPE_CHECKING:
    from bench._recorders import Record, Subject

ITEMS = 15
PROBE_SECONDS = 0.002
TURNS = 4
CASES = ("off", *STATES, "opentelemetry")

Figures = dict[str, float]


async def probe(lags_ms: list[float]) -> None:
    """Measure until cancelled how much later than wanted the loop goes on, in milliseconds."""
    while True:
        started = time.perf_counter()
        await asyncio.sleep(PROBE_SECONDS)
        lags_ms.append((time.perf_counter() - started - PROBE_SECONDS) * 1_000)


async def execution(record: Record, number: int, seed: int) -> None:
    """Run one execution that only waits and records."""
    waits = random.Random(seed)
    for sequence_number in range(1, ITEMS + 1):
        await asyncio.sleep(waits.uniform(0.01, 0.06))
        record(f"{EXECUTION_ID[:-4]}{number:04d}", sequence_number)


async def load(record: Record, executions: int, turns: int) -> list[float]:
    """Run executions at once, several times over; returns the lags."""
    lags_ms: list[float] = []
    measuring = asyncio.create_task(probe(lags_ms))
    for turn in range(turns):
        seeds = range(turn * executions, (turn + 1) * executions)
        await asyncio.gather(*(execution(record, seed % 10_000, seed) for seed in seeds))
    measuring.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await measuring
    return lags_ms


def measure(case: str, executions: int) -> Figures:
    """Measure one case; call it in a process of its own."""
    subject: Subject = "opentelemetry" if case == "opentelemetry" else "ours"
    with (
        tempfile.TemporaryDirectory(prefix="bench-lag-", ignore_cleanup_errors=True) as name,
        serving(subject, Path(name)) as server,
        recording(subject, Path(name), server.address) as record,
    ):
        server.disturb(case)
        cpu = time.process_time()
        lags_ms = asyncio.run(
            load((lambda *_: None) if case == "off" else record, executions, TURNS)
        )
        cpu = time.process_time() - cpu
    return {
        "lag_p50_ms": percentile(lags_ms, 0.5),
        "lag_p99_ms": percentile(lags_ms, 0.99),
        "cpu_us_per_item": cpu / (executions * TURNS * ITEMS) * 1e6,
    }


def measure_apart(case: str, executions: int) -> Figures:
    """Measure in a fresh process."""
    arguments = ["--executions", str(executions), "--only", case]
    command = [sys.executable, "-m", "bench.record_lag", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure all cases in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=CASES, help="one process's part")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.executions)), flush=True)
        os._exit(0)  # OpenTelemetry would wait for its server
    rounds = [
        {case: measure_apart(case, options.executions) for case in CASES}
        for _ in range(options.rounds)
    ]
    rows = {
        case: {
            name: round(statistics.median(one[case][name] for one in rounds), 2)
            for name in rounds[0][case]
        }
        for case in CASES
    }
    print(f"{'case':>14}", " ".join(f"{name:>16}" for name in rows["off"]))
    for case, row in rows.items():
        print(f"{case:>14}", " ".join(f"{value:>16}" for value in row.values()))
    if options.json:
        options.json.write_text(json.dumps({"record_lag": rows}, indent=2))


if __name__ == "__main__":
    main()

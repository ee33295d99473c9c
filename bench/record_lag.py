"""What recording does to an event loop on which 200 executions run at once.

Each execution has 15 items with short waits between them, as stages have; meanwhile a probe
measures how late the loop wakes it. The reference is the same loop without recording; what
OpenTelemetry does to it stands beside that. Each is measured in a fresh process, in turn, several
times over; the figures are medians.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench._recorders import EXECUTION_ID, STATES, recording, serving
from bench.apart import apart
from bench.figures import Figure, at_most, medians, percentile
from bench.report import main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench._recorders import Record, Subject

EXECUTIONS = 200
ITEMS = 15
PROBE_SECONDS = 0.002
TURNS = 4
LATER_MS = 1.0
CASES = ("off", *STATES, "opentelemetry")
NAMES = {state: f"tracker {state}" for state in STATES} | {"opentelemetry": "OpenTelemetry"}


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


async def load(record: Record) -> list[float]:
    """Run executions at once, several times over; returns the lags."""
    lags_ms: list[float] = []
    measuring = asyncio.create_task(probe(lags_ms))
    for turn in range(TURNS):
        seeds = range(turn * EXECUTIONS, (turn + 1) * EXECUTIONS)
        await asyncio.gather(*(execution(record, seed % 10_000, seed) for seed in seeds))
    measuring.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await measuring
    return lags_ms


def measure(case: str) -> dict[str, float]:
    """Measure one case; call it in a process of its own."""
    subject: Subject = "opentelemetry" if case == "opentelemetry" else "ours"
    with (
        tempfile.TemporaryDirectory(prefix="bench-lag-", ignore_cleanup_errors=True) as name,
        serving(subject, Path(name)) as server,
        recording(subject, Path(name), server.address) as record,
    ):
        server.disturb(case)
        lags_ms = asyncio.run(load((lambda *_: None) if case == "off" else record))
    return {"lag_p99_ms": percentile(lags_ms, 0.99)}


def figures(short: bool) -> Iterator[Figure]:
    """Measure all cases in turn."""
    rounds: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
    for _ in range(1 if short else 3):
        for case, values in rounds.items():
            values.append(apart(measure, case))
    rows = {case: medians(values) for case, values in rounds.items()}
    off = rows.pop("off")
    for case, row in rows.items():
        goals = () if case == "opentelemetry" else (at_most(LATER_MS, "added"),)
        name = f"event loop late p99, recording, {NAMES[case]}"
        yield Figure(name, "ms", row["lag_p99_ms"], off["lag_p99_ms"], goals)


if __name__ == "__main__":
    main("record_lag", figures)

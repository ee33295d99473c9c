"""What recording does to an event loop on which 200 executions run at once.

Usage: `python -m bench.record_lag [--executions N] [--rounds N] [--json FILE]`. Each execution has
15 items with short waits between them, as stages have; meanwhile a probe measures how late the
loop wakes it. The states of the tracker are those of `bench.record`; "off" is no recording at all.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.record import ITEM, METADATA, percentile, stand_in
from stellwerk_client.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

ITEMS = 15
PROBE_SECONDS = 0.002


async def probe(lags_ms: list[float]) -> None:
    """Measure until cancelled how much later than wanted the loop goes on, in milliseconds."""
    while True:
        started = time.perf_counter()
        await asyncio.sleep(PROBE_SECONDS)
        lags_ms.append((time.perf_counter() - started - PROBE_SECONDS) * 1_000)


async def execution(record: Callable[[str, int], object], number: int, seed: int) -> None:
    """Run one execution that only waits and records."""
    waits = random.Random(seed)
    for sequence_number in range(1, ITEMS + 1):
        await asyncio.sleep(waits.uniform(0.01, 0.06))
        record(f"{ITEM['execution_id'][:-4]}{number:04d}", sequence_number)


async def load(record: Callable[[str, int], object], executions: int, rounds: int) -> list[float]:
    """Run executions at once, several times over; returns the lags."""
    lags_ms: list[float] = []
    measuring = asyncio.create_task(probe(lags_ms))
    for turn in range(rounds):
        seeds = range(turn * executions, (turn + 1) * executions)
        await asyncio.gather(*(execution(record, seed % 10_000, seed) for seed in seeds))
    measuring.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await measuring
    return lags_ms


def measure(state: str, executions: int, rounds: int) -> dict[str, Any]:
    """Measure one state: `off`, `alive`, `frozen` or `dead`."""
    with tempfile.TemporaryDirectory(prefix="bench-lag-") as name:
        folder = Path(name)
        with stand_in(folder) as (process, address), Recorder(folder / "s", address) as recorder:
            rest = {key: value for key, value in ITEM.items() if key != "execution_id"}

            def record(execution_id: str, sequence_number: int) -> None:
                recorder.record(
                    execution_id=execution_id,
                    sequence_number=sequence_number,
                    metadata=METADATA,
                    **rest,
                )

            if state == "frozen":
                process.send_signal(signal.SIGSTOP)
            elif state == "dead":
                process.kill()
            work = (lambda _, __: None) if state == "off" else record
            cpu = time.process_time()
            lags_ms = asyncio.run(load(work, executions, rounds))
            cpu = time.process_time() - cpu
            dropped = recorder.stats().dropped
    return {
        "state": state,
        "lag_p50_ms": round(percentile(lags_ms, 0.5), 2),
        "lag_p99_ms": round(percentile(lags_ms, 0.99), 2),
        "cpu_us_per_item": round(cpu / (executions * rounds * ITEMS) * 1e6, 1),
        "dropped": dropped,
    }


def main() -> None:
    """Measure all states and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    states = ("off", "alive", "frozen", "dead")
    rows = [measure(state, options.executions, options.rounds) for state in states]
    print(" ".join(f"{name:>16}" for name in rows[0]))
    for row in rows:
        print(" ".join(f"{value:>16}" for value in row.values()))
    if options.json:
        options.json.write_text(json.dumps({"record_lag": rows}, indent=2))


if __name__ == "__main__":
    main()

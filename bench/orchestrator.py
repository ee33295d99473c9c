"""What orchestration costs: a run beside the same calls made directly, one and 200 at once.

Usage: `python -m bench.orchestrator [--runs N] [--at-once N] [--rounds N] [--json FILE]`.

As `pipeline_overhead`, with tracking on: models answer at once, tracker and neighbours have a
process each, the orchestrator and its callers share one. What differs is how callers listen: event
by event, or with the events that happened together in one response, as `stellwerk_client` asks for.
Figures are medians of the rounds, in which all cases are measured in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from bench.pipeline_overhead import START_SECONDS, Bench, medians, neighbours
from stellwerk_cli.readiness import wait_until_serving

if TYPE_CHECKING:
    from bench.pipeline_overhead import Figures

CASES = ("direct", "one by one", "batched")
LONGEST_ADDED_MS = 5.0
LEAST_THROUGHPUT = 0.5


async def measure(bench: Bench, case: str, addresses: dict[str, str]) -> Figures:
    """Measure one way to listen, or the calls made directly."""
    tracking = "direct" if case == "direct" else "on"
    async with bench.work(tracking, addresses, batched=case == "batched") as work:
        await work()
        return await bench.figures(work)


async def measure_all(options: argparse.Namespace) -> dict[str, Figures]:
    """Measure every case in turn; returns the medians of the rounds."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-orchestrator-") as name,
        neighbours(Path(name)) as (addresses, tracker),
    ):
        assert await wait_until_serving(addresses["tracker"], START_SECONDS)
        bench = Bench(Path(name), tracker, options)
        rounds = [
            {case: await measure(bench, case, addresses) for case in CASES}
            for _ in range(options.rounds)
        ]
    return medians(rounds)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rows = asyncio.run(measure_all(options))
    direct = rows["direct"]
    print(f"{'events':>12} {'p50 ms':>10} {'added ms':>10} {'runs/s':>10} {'share':>10}")
    for case, row in rows.items():
        added = row["p50_ms"] - direct["p50_ms"]
        share = row["runs_per_second"] / direct["runs_per_second"]
        figures = (row["p50_ms"], added, row["runs_per_second"], share)
        print(f"{case:>12}", " ".join(f"{value:>10.2f}" for value in figures))
    print(f"goals: added at most {LONGEST_ADDED_MS} ms, share at least {LEAST_THROUGHPUT}")
    if options.json:
        options.json.write_text(json.dumps({"orchestrator": rows}, indent=2))


if __name__ == "__main__":
    main()

"""What `record()` costs its caller, beside OpenTelemetry's BatchSpanProcessor with the same facts.

Usage: `python -m bench.record [--seconds N] [--rate N] [--rounds N] [--json FILE]`. Each state of
the server (alive, frozen by SIGSTOP, dead) is measured with both recorders in turn, each in a fresh
process; figures are medians over the rounds. Time is from raw arguments to return. CPU is that of
the whole process, its threads included, less that of the same loop without a recorder. A bare
`write` of the same facts tells how quick the machine is at present.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import orjson
from opentelemetry.sdk.version import __version__ as opentelemetry_version

from bench._recorders import (
    EXECUTION_ID,
    ITEM,
    METADATA,
    ROOT,
    STATES,
    Subject,
    percentile,
    recording,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Figures = dict[str, float]


def paced(call: Callable[[int], object], rate: int, seconds: float) -> tuple[list[float], float]:
    """Call `rate` times a second.

    Returns:
        The time of each call in microseconds, and the CPU time of the process in seconds.
    """
    costs = []
    begin, cpu = time.perf_counter(), time.process_time()
    for number in range(1, int(rate * seconds) + 1):
        pause = begin + number / rate - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        started = time.perf_counter_ns()
        call(number)
        costs.append((time.perf_counter_ns() - started) / 1_000)
    return costs, time.process_time() - cpu


def measure(subject: Subject, state: str, rate: int, seconds: float) -> Figures:
    """Measure one recorder in one state of its server; call it in a process of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-record-", ignore_cleanup_errors=True) as name,
        serving(subject, Path(name)) as server,
        recording(subject, Path(name), server.address) as record,
    ):
        _, idle = paced(lambda _: None, rate, seconds)
        paced(lambda number: record(EXECUTION_ID, number), rate, 1)
        server.disturb(state)
        first = rate + 1
        costs, cpu = paced(lambda number: record(EXECUTION_ID, first + number), rate, seconds)
    return summary(costs) | {"cpu_us": (cpu - idle) / len(costs) * 1e6}


def measure_bare(rate: int, seconds: float) -> Figures:
    """Measure the least that anybody could do: JSON of the item, one write to a file."""
    with tempfile.TemporaryFile(buffering=0) as file:
        costs, _ = paced(
            lambda number: file.write(orjson.dumps({**ITEM, "number": number, **METADATA})),
            rate,
            seconds,
        )
    return summary(costs)


def summary(costs: list[float]) -> Figures:
    """Return the percentiles of `costs`."""
    return {"p50_us": percentile(costs, 0.5), "p99_us": percentile(costs, 0.99)}


def measure_apart(subject: Subject, state: str, options: argparse.Namespace) -> Figures:
    """Measure in a fresh process, so that no thread of one recorder disturbs the other."""
    limits = ["--rate", str(options.rate), "--seconds", str(options.seconds)]
    command = [sys.executable, "-m", "bench.record", *limits, "--only", subject, state]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def medians(rounds: list[Figures]) -> Figures:
    """Return the median of each figure."""
    return {name: round(statistics.median(one[name] for one in rounds), 1) for name in rounds[0]}


def compare(state: str, options: argparse.Namespace) -> dict[str, object]:
    """Measure both recorders in turn and put them beside each other."""
    subjects: tuple[Subject, ...] = ("ours", "opentelemetry")
    rounds: dict[str, list[Figures]] = {subject: [] for subject in subjects}
    for _ in range(options.rounds):
        for subject in subjects:
            rounds[subject].append(measure_apart(subject, state, options))
    ours, theirs = (medians(rounds[subject]) for subject in subjects)
    ratios = {name: round(ours[name] / theirs[name], 2) for name in ours}
    return {"state": state, "ours": ours, "opentelemetry": theirs, "ratio": ratios}


def print_table(bare: Figures, rows: list[dict[str, object]]) -> None:
    """Print what was measured, in microseconds."""
    print(f"bare write: p50 {bare['p50_us']:.1f} µs, p99 {bare['p99_us']:.1f} µs")
    print(f"{'state':8} {'recorder':14} {'p50':>8} {'p99':>8} {'cpu/item':>9}")
    for row in rows:
        for subject in ("ours", "opentelemetry", "ratio"):
            figures = row[subject]
            assert isinstance(figures, dict)
            p50, p99, cpu = figures.values()
            print(f"{row['state']:8} {subject:14} {p50:8} {p99:8} {cpu:9}")


def main() -> None:
    """Measure all three states and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs=2, metavar=("RECORDER", "STATE"), help="one process's part")
    options = parser.parse_args()
    if options.only:
        subject, state = options.only
        figures = measure(subject, state, options.rate, options.seconds)
        print(json.dumps(figures), flush=True)
        os._exit(0)  # OpenTelemetry would wait for its dead server
    bare = measure_bare(options.rate, options.seconds)
    rows = [compare(state, options) for state in STATES]
    print_table(bare, rows)
    if options.json:
        about = {
            "machine": platform.platform(),
            "python": platform.python_version(),
            "grpcio": grpc.__version__,
            "orjson": orjson.__version__,
            "opentelemetry": opentelemetry_version,
            "rate": options.rate,
        }
        result = {"record": rows, "bare_write": bare, "about": about}
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

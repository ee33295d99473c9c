"""What `record()` costs its caller, beside OpenTelemetry's BatchSpanProcessor with the same facts.

Each state of the server (alive, frozen by SIGSTOP, dead) is measured with both recorders in turn,
each in a fresh process; figures are medians over the rounds. Time is from raw arguments to return.
CPU is that of the whole process, its threads included, less that of the same loop without a
recorder. A bare `write` of the same facts tells how quick the machine is at present.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bench._recorders import EXECUTION_ID, ITEM, METADATA, STATES, recording, serving
from bench.apart import apart
from bench.figures import Figure, at_most, medians, percentile
from bench.report import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench._recorders import Subject

RATE = 1_000
"""Items per second."""
P99_US = 50.0
SHARE = 1 / 3
CPU_US = 40.0
CPU_SHARE = 1 / 2

Values = dict[str, float]


def paced(call: Callable[[int], object], seconds: float) -> tuple[list[float], float]:
    """Call `RATE` times a second.

    Returns:
        The time of each call in microseconds, and the CPU time of the process in seconds.
    """
    costs = []
    begin, cpu = time.perf_counter(), time.process_time()
    for number in range(1, int(RATE * seconds) + 1):
        pause = begin + number / RATE - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        started = time.perf_counter_ns()
        call(number)
        costs.append((time.perf_counter_ns() - started) / 1_000)
    return costs, time.process_time() - cpu


def measure(subject: Subject, state: str, seconds: float) -> Values:
    """Measure one recorder in one state of its server; call it in a process of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-record-", ignore_cleanup_errors=True) as name,
        serving(subject, Path(name)) as server,
        recording(subject, Path(name), server.address) as record,
    ):
        _, idle = paced(lambda _: None, seconds)
        paced(lambda number: record(EXECUTION_ID, number), 1)
        server.disturb(state)
        first = RATE + 1
        costs, cpu = paced(lambda number: record(EXECUTION_ID, first + number), seconds)
    return summary(costs) | {"cpu_us": (cpu - idle) / len(costs) * 1e6}


def measure_bare(seconds: float) -> Values:
    """Measure the least that anybody could do: JSON of the item, one write to a file."""
    with tempfile.TemporaryFile(buffering=0) as file:
        costs, _ = paced(
            lambda number: file.write(orjson.dumps({**ITEM, "number": number, **METADATA})),
            seconds,
        )
    return summary(costs)


def summary(costs: list[float]) -> Values:
    """Return the percentiles of `costs`."""
    return {"p50_us": percentile(costs, 0.5), "p99_us": percentile(costs, 0.99)}


def figures(short: bool) -> Iterator[Figure]:
    """Measure all three states."""
    rounds, seconds = (1, 2.0) if short else (3, 5.0)
    bare = measure_bare(seconds)
    yield Figure("bare write of the same facts, p50", "µs", bare["p50_us"])
    for state in STATES:
        found: dict[Subject, list[Values]] = {"ours": [], "opentelemetry": []}
        for _ in range(rounds):
            for subject, values in found.items():
                values.append(apart(measure, subject, state, seconds))
        ours, theirs = medians(found["ours"]), medians(found["opentelemetry"])
        goals = {
            "p50_us": (at_most(SHARE, "ratio"),),
            "p99_us": (at_most(SHARE, "ratio"), at_most(P99_US)),
            "cpu_us": (at_most(CPU_SHARE, "ratio"), at_most(CPU_US)),
        }
        names = {"p50_us": "record() p50", "p99_us": "record() p99", "cpu_us": "CPU per item"}
        for key, name in names.items():
            yield Figure(f"{name}, tracker {state}", "µs", ours[key], theirs[key], goals[key])


if __name__ == "__main__":
    main("record", figures)

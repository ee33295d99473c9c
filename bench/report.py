"""The table of all figures, the file that keeps them, and how one benchmark runs by itself."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from bench.figures import Figure, Goal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Measure = Callable[[bool], Iterable[Figure]]

ROOT = Path(__file__).resolve().parent.parent
HEADINGS = ("figure", "ours", "reference", "ratio", "goal", "met")
LIBRARIES = (
    *("grpcio", "protobuf", "orjson", "structlog", "opentelemetry-sdk", "psycopg", "pyarrow"),
    *("ahocorasick-rs", "nats-py", "aiohttp"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one benchmark: its figures, or why there are none.

    Attributes:
        seconds: How long it took.
        failed: Why it failed; empty: it did not.
    """

    seconds: float
    figures: tuple[Figure, ...] = ()
    failed: str = ""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows in columns as wide as they need; the first to the left, numbers to the right."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 0 < at < 4 else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def report_of(outcomes: dict[str, Outcome]) -> str:
    """Return the one table: the figures of each benchmark below its name, or why there are none."""
    rows: list[Sequence[str]] = []
    for bench, outcome in outcomes.items():
        rows.append((bench, *("",) * 4, f"FAILED: {outcome.failed}" if outcome.failed else ""))
        rows += [(f"  {name}", *rest) for name, *rest in map(Figure.cells, outcome.figures)]
    return table(HEADINGS, rows)


def write_json(path: Path, outcomes: dict[str, Outcome], *, short: bool) -> None:
    """Write what was measured, and where, for `bench.compare`."""
    benches = {
        name: {
            **asdict(outcome),
            "figures": [asdict(each) | {"met": each.met} for each in outcome.figures],
        }
        for name, outcome in outcomes.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"about": about(short=short), "benches": benches}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Outcome]:
    """Return what `write_json` wrote."""
    benches = json.loads(path.read_text(encoding="utf-8"))["benches"]
    return {
        name: Outcome(each["seconds"], tuple(map(_figure, each["figures"])), each["failed"])
        for name, each in benches.items()
    }


def _figure(facts: dict[str, Any]) -> Figure:
    fields = {name: value for name, value in facts.items() if name != "met"}
    return Figure(**fields | {"goals": tuple(Goal(**goal) for goal in facts["goals"])})


def about(*, short: bool) -> dict[str, object]:
    """Return what the figures depend on: the machine, its load, the versions, the commit."""
    commit = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(commit, cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": done.stdout.strip() or "unknown",
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "load_average": [round(one, 1) for one in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
        "short": short,
    }


def main(name: str, measure: Measure) -> None:
    """Run one benchmark by itself: measure, print its table, write its file.

    Args:
        name: Of the benchmark.
        measure: Yields figures; told whether it shall be short.
    """
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}")
    parser.add_argument("--short", action="store_true", help="fewer rounds, smaller data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, too")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    started = time.perf_counter()
    figures = tuple(measure(options.short))
    outcomes = {name: Outcome(round(time.perf_counter() - started, 1), figures)}
    print(report_of(outcomes))
    if options.json:
        write_json(options.json, outcomes, short=options.short)

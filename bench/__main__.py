"""Runs the benchmarks and prints one table.

Usage: `python -m bench [--only NAME,…] [--short] [--json FILE]`. Each has a process of its own and
a limit of time; one that fails is told as failed, and the others go on. `bench.embedded` and
`bench.summaries` are no part of it: what they print is to be read.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.report import ROOT, Outcome, about, read_json, report_of, write_json

LIMITS = {
    "record": 600,
    "record_lag": 300,
    "ingest": 600,
    "safety": 300,
    "pipeline": 600,
    "comfyui": 600,
    "queue_nats": 600,
    "export": 2_400,
    "lists": 3_600,
    "deliverables": 1_200,
    "export_workflow": 1_800,
    "metrics": 600,
    "pages": 600,
}
"""The benchmarks in the order of the table, and how long each may take, in seconds."""

STOP_SECONDS = 20
"""How long one that takes too long may take to end what it started."""


def run(name: str, *, short: bool) -> Outcome:
    """Run one benchmark in a process of its own, which takes all that it started along."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        told = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"bench.{name}", "--json", str(told)]
        with subprocess.Popen(
            command + ["--short"] * short,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            failed = _wait(process, LIMITS[name])
        if not failed:
            return read_json(told)[name]
    return Outcome(round(time.perf_counter() - started, 1), failed=failed)


def _wait(process: subprocess.Popen[bytes], limit_seconds: int) -> str:
    """Wait for a benchmark and leave nothing of it; returns why it failed, empty: it did not."""
    try:
        code = process.wait(limit_seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # lets it end the servers that it started
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        return f"not done after {limit_seconds} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return f"exit code {code}" if code else ""


def chosen(names: str) -> list[str]:
    """Return the benchmarks of a list; an empty one means all.

    Raises:
        SystemExit: There is no such benchmark.
    """
    wanted = [name for name in names.split(",") if name]
    unknown = sorted(set(wanted) - set(LIMITS))
    if unknown:
        sys.exit(f"No benchmark {', '.join(unknown)}; there are {', '.join(LIMITS)}.")
    return wanted or list(LIMITS)


def main() -> None:
    """Run what is chosen; exit code 1 says that a benchmark failed, never that a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME,…", help=", ".join(LIMITS))
    parser.add_argument("--short", action="store_true", help="minutes instead of an hour")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json")
    options = parser.parse_args()
    outcomes: dict[str, Outcome] = {}
    for name in chosen(options.only):
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        outcome = outcomes[name] = run(name, short=options.short)
        print(outcome.failed or f"{outcome.seconds:.0f} s", file=sys.stderr, flush=True)
        write_json(options.json, outcomes, short=options.short)
    print(report_of(outcomes))
    here = about(short=options.short)
    print("{cores} cores, load {load_average}, Python {python}, commit {commit}".format_map(here))
    print(f"Written to {options.json}", file=sys.stderr)
    sys.exit(any(outcome.failed for outcome in outcomes.values()))


if __name__ == "__main__":
    main()

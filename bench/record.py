"""What `record()` costs its caller, with the tracker alive, frozen and dead, beside a bare write.

Usage: `python -m bench.record [--seconds N] [--rate N] [--json FILE]`. The tracker is a stand-in in
a process of its own, so that what is measured is the recorder. "CPU" is the time of the whole
process, its threads included, less that of the same loop without a recorder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import orjson

from stellwerk_client.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent

ITEM: dict[str, Any] = {
    "execution_id": "0190f1c2-7a11-7000-8000-000000000001",
    "epoch": 1,
    "stage": 4,
    "loop_iteration": 1,
    "item_type": "output_image",
    "media_type": "image",
    "content": "Eine Blume auf der Wiese, gesehen durch ein Prisma aus Papier und Lärm. " * 5,
    "config_used": "dada",
    "model_used": "embedded/picture-a",
    "backend_used": "embedded",
    "run_seconds": 0.25,
}
METADATA: dict[str, Any] = {
    "width": 512,
    "height": 512,
    "seed": 2**63 + 5,
    "cfg_scale": 7.5,
    "steps": 20,
    "sampler": "euler",
    "scheduler": "normal",
    "negative_prompt": "blurry",
    "loras": [],
    "workflow_sha256": "ab" * 32,
}


@contextlib.contextmanager
def stand_in(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the stand-in and yield its process and address."""
    command = [sys.executable, "-m", "tests.fakes.tracker", str(folder / "journal")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            address = next(line for line in process.stdout if line.startswith("serving "))
            yield process, address.split()[1]
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


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


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of `values` lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def bare(rate: int, seconds: float) -> dict[str, Any]:
    """Measure the least that anybody could do: JSON of the item, one write to a file."""
    with tempfile.TemporaryFile(buffering=0) as file:

        def write(number: int) -> None:
            file.write(json.dumps({**ITEM, "sequence_number": number, **METADATA}).encode())

        costs, _ = paced(write, rate, seconds)
    return {"state": "bare write", **summary(costs)}


def summary(costs: list[float]) -> dict[str, float]:
    """Return the percentiles of `costs`."""
    return {
        "p50_us": round(percentile(costs, 0.5), 1),
        "p99_us": round(percentile(costs, 0.99), 1),
        "max_us": round(max(costs), 1),
    }


def measure(state: str, rate: int, seconds: float, idle: float) -> dict[str, Any]:
    """Measure one state of the tracker.

    Args:
        state: `alive`, `frozen` or `dead`.
        rate: Items a second.
        seconds: For how long.
        idle: CPU time of the same loop without a recorder, in seconds.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-record-"))
    with stand_in(folder) as (process, address), Recorder(folder / "spool", address) as recorder:

        def record(number: int) -> None:
            recorder.record(**ITEM, sequence_number=number, metadata=METADATA)

        paced(record, rate, 1)
        if state == "frozen":
            process.send_signal(signal.SIGSTOP)
        elif state == "dead":
            process.kill()
        costs, cpu = paced(record, rate, seconds)
        stats = recorder.stats()
    shutil.rmtree(folder)
    return {
        "state": state,
        **summary(costs),
        "cpu_us_per_item": round((cpu - idle) / len(costs) * 1e6, 1),
        "acked": stats.acked,
        "pending": stats.pending,
        "dropped": stats.dropped,
    }


def main() -> None:
    """Measure all three and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    _, idle = paced(lambda _: None, options.rate, options.seconds)
    rows = [
        measure(state, options.rate, options.seconds, idle) for state in ("alive", "frozen", "dead")
    ]
    print(" ".join(f"{name:>16}" for name in rows[0]))
    for row in [bare(options.rate, options.seconds), *rows]:
        print(" ".join(f"{value:>16}" for value in row.values()))
    if options.json:
        about = {
            "machine": platform.platform(),
            "python": platform.python_version(),
            "grpcio": grpc.__version__,
            "orjson": orjson.__version__,
            "rate": options.rate,
        }
        options.json.write_text(json.dumps({"record": rows, "about": about}, indent=2))


if __name__ == "__main__":
    main()

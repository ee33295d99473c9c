"""What the orchestrator and its recording add to a run, with models that answer at once.

Usage: `python -m bench.pipeline_overhead [--runs N] [--at-once N] [--rounds N] [--json FILE]`.

The reference makes the same calls directly: the check of the input, then the language model, for
the same text. Ours runs with tracking off (nothing is recorded), on, and frozen (the tracker's
process is stopped). All are measured in turn, `--rounds` times; figures are medians. One at a time
tells the milliseconds that are added, many at once the throughput and how late the event loop is.
The orchestrator and its callers share one process, tracker and neighbours have one each.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from bench._recorders import ROOT, percentile
from bench.record_lag import probe
from orchestrator.service import registration
from orchestrator.settings import OrchestratorSettings
from servicekit.channel import open_channel
from servicekit.server import start_server
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.safety.v1 import safety_service_pb2 as safety_pb2
from stellwerk.safety.v1.safety_service_pb2_grpc import SafetyServiceStub
from stellwerk_cli.readiness import wait_until_serving
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from orchestrator.ports import Records

    Work = Callable[[], Awaitable[None]]

CASES = ("direct", "off", "on", "frozen")
IDEA = "Eine Blume auf der Wiese"
ADULT = types_pb2.SAFETY_LEVEL_ADULT
START_SECONDS = 60.0

Figures = dict[str, float]


class Unrecorded:
    """Tracking off: takes everything and keeps nothing."""

    def record(self, *, item_id: str | None = None, **_: object) -> str:
        """Forget an item."""
        return item_id or ""

    def record_plan(self, digest: str, plan_json: bytes) -> None:
        """Forget a plan."""

    def record_trace(self, traceparent: str) -> None:
        """Forget the name of a span."""

    def heartbeat(self, *_: object, **__: object) -> None:
        """Forget a sign of life."""


class Bench:
    """The processes beside the orchestrator's, and one case of it after the other."""

    def __init__(self, folder: Path, tracker: subprocess.Popen[bytes], options: argparse.Namespace):
        """Take the folder of the data, the tracker's process and how much to run."""
        self._folder = folder
        self._tracker = tracker
        self._options = options

    async def measure(self, case: str, addresses: dict[str, str]) -> Figures:
        """Measure one case."""
        async with self.work(case, addresses) as work:
            await work()
            if case == "frozen":
                self._tracker.send_signal(signal.SIGSTOP)
            try:
                return await self.figures(work)
            finally:
                self._tracker.send_signal(signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def work(
        self, case: str, addresses: dict[str, str], *, batched: bool = False
    ) -> AsyncIterator[Work]:
        """Prepare one case; `batched` callers take events that happened together at once."""
        if case == "direct":
            async with (
                open_channel(addresses["safety"]) as to_safety,
                open_channel(addresses["generation"]) as to_generation,
            ):
                yield direct(SafetyServiceStub(to_safety), GenerationServiceStub(to_generation))
            return
        settings = OrchestratorSettings(
            listen_address="127.0.0.1:0",
            grace_seconds=1,
            spool_dir=self._folder / "spool",
            safety_address=addresses["safety"],
            generation_address=addresses["generation"],
            tracker_address=addresses["tracker"],
        )
        records: Records | None = Unrecorded() if case == "off" else None
        async with (
            start_server(settings, registration(settings, records)) as server,
            open_channel(server.address) as channel,
        ):
            yield through(OrchestratorServiceStub(channel), batched=batched)

    async def figures(self, work: Work) -> Figures:
        """Measure one at a time, then many at once."""
        times = []
        for _ in range(self._options.runs):
            started = time.perf_counter()
            await work()
            times.append((time.perf_counter() - started) * 1_000)
        lags_ms: list[float] = []
        probing = asyncio.create_task(probe(lags_ms))
        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(self._options.at_once)))
        seconds = time.perf_counter() - started
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
        return {
            "p50_ms": statistics.median(times),
            "runs_per_second": self._options.at_once / seconds,
            "lag_p99_ms": percentile(lags_ms, 0.99),
        }


def through(stub: Any, *, batched: bool = False) -> Work:
    """Run through the orchestrator."""

    async def run() -> None:
        request = pb2.RunExecutionRequest(
            config="dada",
            texts=[IDEA],
            text_only=True,
            safety_level=ADULT,
            batch_events=batched,
        )
        async for _ in stub.RunExecution(request, timeout=START_SECONDS):
            pass

    return run


def direct(safety: Any, generation: Any) -> Work:
    """Make the same calls without the orchestrator."""
    check = safety_pb2.CheckTextRequest(
        text=IDEA, safety_level=ADULT, direction=safety_pb2.DIRECTION_INPUT
    )
    messages = [generation_pb2.TextMessage(role="user", content=IDEA * 20)]

    async def run() -> None:
        await safety.CheckTexts(safety_pb2.CheckTextsRequest(requests=[check]))
        request = generation_pb2.GenerateTextRequest(role="interception", messages=messages)
        async for _ in generation.GenerateText(request):
            pass

    return run


@contextlib.contextmanager
def process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module in a process of its own; killed in the end."""
    command = [sys.executable, "-m", *arguments]
    pipe = subprocess.PIPE
    variables = os.environ | environment
    with subprocess.Popen(command, cwd=ROOT, env=variables, stdin=pipe, stdout=pipe) as child:
        try:
            yield child
        finally:
            child.send_signal(signal.SIGCONT)
            child.kill()


@contextlib.contextmanager
def neighbours(folder: Path) -> Iterator[tuple[dict[str, str], subprocess.Popen[bytes]]]:
    """Serve everything but the orchestrator; yields the addresses and the tracker's process."""
    tracker_address = f"127.0.0.1:{free_port()}"
    with (
        process("bench._neighbours", str(folder)) as others,
        process(
            "tracker_service",
            TRACKER_LISTEN_ADDRESS=tracker_address,
            TRACKER_DATA_DIR=str(folder),
            TRACKER_LOG_LEVEL="ERROR",
        ) as tracker,
    ):
        assert others.stdout is not None
        yield json.loads(others.stdout.readline()) | {"tracker": tracker_address}, tracker


def medians(rounds: list[dict[str, Figures]]) -> dict[str, Figures]:
    """Return the median of each figure of each case."""
    return {
        case: {
            figure: round(statistics.median(one[case][figure] for one in rounds), 2)
            for figure in rounds[0][case]
        }
        for case in rounds[0]
    }


async def measure_all(options: argparse.Namespace) -> dict[str, Figures]:
    """Measure every case in turn; returns the medians of the rounds."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-overhead-") as name,
        neighbours(Path(name)) as (addresses, tracker),
    ):
        assert await wait_until_serving(addresses["tracker"], START_SECONDS)
        bench = Bench(Path(name), tracker, options)
        return medians(
            [
                {case: await bench.measure(case, addresses) for case in CASES}
                for _ in range(options.rounds)
            ]
        )


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
    print(f"{'tracking':>10}", " ".join(f"{name:>16}" for name in rows["direct"]))
    for case, row in rows.items():
        print(f"{case:>10}", " ".join(f"{value:>16}" for value in row.values()))
    if options.json:
        options.json.write_text(json.dumps({"pipeline_overhead": rows}, indent=2))


if __name__ == "__main__":
    main()

"""What the orchestrator and its recording add to a run, with models that answer at once.

The reference makes the same calls directly: the check of the input, then the language model, for
the same text. Ours runs with tracking off (nothing is recorded), on, and frozen (the tracker's
process is stopped); callers listen event by event, and once as `stellwerk_client` does, with the
events that happened together in one response. Each is measured in turn with the reference, run by
run; figures are medians. One at a time tells the milliseconds that are added, many at once the
throughput and how late the event loop is. The orchestrator and its callers share one process,
tracker and neighbours have one each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.figures import Figure, at_least, at_most, medians, percentile
from bench.record_lag import probe
from bench.report import ROOT, main
from orchestrator.service import registration
from orchestrator.settings import OrchestratorSettings
from servicekit.channel import open_channel
from servicekit.collector import spare_collector
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
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from orchestrator.ports import Records

    Work = Callable[[], Awaitable[None]]

RUNS = 100
AT_ONCE = 200
ADDED_MS = 5.0
SHARE = 0.5
CASES = {
    "off": "nothing recorded",
    "on": "recorded",
    "batched": "recorded, events in batches",
    "frozen": "tracker frozen",
}
IDEA = "Eine Blume auf der Wiese"
ADULT = types_pb2.SAFETY_LEVEL_ADULT
START_SECONDS = 60.0

Values = dict[str, float]


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

    def __init__(
        self, folder: Path, tracker: subprocess.Popen[bytes], addresses: Mapping[str, str]
    ) -> None:
        """Take the folder of the data, the tracker's process and where the neighbours are."""
        self._folder = folder
        self._tracker = tracker
        self._addresses = addresses

    async def measure(self, case: str) -> Values:
        """Measure one case and the reference, in turn."""
        async with self._work("direct") as reference, self._work(case) as work:
            await reference()
            await work()
            if case == "frozen":
                self._tracker.send_signal(signal.SIGSTOP)
            try:
                return await values_of(work, reference)
            finally:
                self._tracker.send_signal(signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def _work(self, case: str) -> AsyncIterator[Work]:
        """Prepare one case."""
        addresses = self._addresses
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
            yield through(OrchestratorServiceStub(channel), batched=case == "batched")


async def values_of(work: Work, reference: Work) -> Values:
    """Measure one at a time, then many at once."""
    alone = [(await milliseconds(work), await milliseconds(reference)) for _ in range(RUNS)]
    ours_ms, reference_ms = zip(*alone, strict=True)
    lags_ms: list[float] = []
    probing = asyncio.create_task(probe(lags_ms))
    at_once_ms = await milliseconds(work, AT_ONCE)
    probing.cancel()
    await asyncio.gather(probing, return_exceptions=True)
    return {
        "p50_ms": statistics.median(ours_ms),
        "reference_p50_ms": statistics.median(reference_ms),
        "runs_per_second": AT_ONCE / at_once_ms * 1_000,
        "reference_per_second": AT_ONCE / await milliseconds(reference, AT_ONCE) * 1_000,
        "lag_p99_ms": percentile(lags_ms, 0.99),
    }


async def milliseconds(work: Work, at_once: int = 1) -> float:
    """Return how long work takes, done once or many times at once."""
    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return (time.perf_counter() - started) * 1_000


def through(stub: Any, *, batched: bool) -> Work:
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


async def measure_all(rounds: int) -> dict[str, Values]:
    """Measure every case in turn; returns the medians of the rounds."""
    found: dict[str, list[Values]] = {case: [] for case in CASES}
    with (
        tempfile.TemporaryDirectory(prefix="bench-pipeline-") as name,
        neighbours(Path(name)) as (addresses, tracker),
    ):
        assert await wait_until_serving(addresses["tracker"], START_SECONDS)
        bench = Bench(Path(name), tracker, addresses)
        for _ in range(rounds):
            for case, values in found.items():
                values.append(await bench.measure(case))
    return {case: medians(values) for case, values in found.items()}


def figures(short: bool) -> Iterator[Figure]:
    """Measure every case."""
    spare_collector()  # as `python -m orchestrator` does
    rows = asyncio.run(measure_all(1 if short else 3))
    for case, row in rows.items():
        alone, at_once = (at_most(ADDED_MS, "added"),), (at_least(SHARE, "ratio"),)
        name = f"run, {CASES[case]}"
        times = row["p50_ms"], row["reference_p50_ms"]
        yield Figure(f"{name}, one at a time, p50", "ms", *times, alone)
        rates = row["runs_per_second"], row["reference_per_second"]
        yield Figure(f"{name}, {AT_ONCE} at once", "runs/s", *rates, at_once, more_is_better=True)
    lags = rows["on"]["lag_p99_ms"], rows["off"]["lag_p99_ms"]
    yield Figure(f"event loop late p99, {AT_ONCE} runs, recorded or not", "ms", *lags)


if __name__ == "__main__":
    main("pipeline", figures)

"""What the queue of several processes costs, beside the queue of one process in the same run.

- Latency: from asking for a job to its end, for jobs that take no time, one at a time; then the
  part of it until a worker begins. The queue of one process is the reference. Everything but the
  NATS server runs in this process, so both are charged for the same work.
- Scaling: 1, 2, 4 processes with a worker each, whose jobs last a second at a stand-in, in units of
  one worker that never pauses; the reference is one process before the same stand-ins.

Usage: `python -m bench.queue_nats [JOBS] [JOBS_PER_WORKER]`; 0 leaves a part out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.comfyui import SESSIONS, service, through_us
from generation_service.queue.jobs import Started
from servicekit.logging import configure_logging
from tests.fakes.comfyui import ComfyUIProcess
from tests.integration.generation_fleet import open_fleet
from tests.nats import nats_server
from tests.unit.generation_service.queue.jetstream_bench import jetstream_pooling
from tests.unit.generation_service.queue.workbench import (
    Bench,
    Pooling,
    job,
    local_pooling,
)

if TYPE_CHECKING:
    from tests.integration.generation import Stub

WARM_UP = 20
JOB_SECONDS = 1.0


async def latency(pooling: Pooling, path: Path, jobs: int) -> tuple[list[float], list[float]]:
    """Milliseconds until a worker begins, and until the end is told, per job."""
    begun: list[float] = []
    ended: list[float] = []
    async with pooling(Bench(free=True), path=path) as (queue, _):
        for number in range(jobs + WARM_UP):
            started = time.perf_counter()
            job_id = await queue.submit(job(prompt=str(number)))
            async with contextlib.aclosing(queue.watch(job_id)) as events:
                async for event in events:
                    if isinstance(event.happening, Started):
                        begun.append((time.perf_counter() - started) * 1000)
            ended.append((time.perf_counter() - started) * 1000)
    return begun[WARM_UP:], ended[WARM_UP:]


async def latencies(jobs: int) -> dict[str, float]:
    """Compare the queues."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        with nats_server(base / "nats") as server:
            kinds = {"local": local_pooling, "nats": jetstream_pooling(server, in_memory=False)}
            for name, pooling in kinds.items():
                begun, ended = await latency(pooling, base / f"{name}.sqlite3", jobs)
                figures[f"{name}_begin_p50_ms"] = round(statistics.median(begun), 2)
                figures[f"{name}_end_p50_ms"] = round(statistics.median(ended), 2)
                figures[f"{name}_end_p99_ms"] = round(statistics.quantiles(ended, n=100)[98], 2)
    return figures


async def speed(stub: Stub, workers: int, jobs_per_worker: int) -> float:
    """What the workers do, in units of one that never pauses."""
    await asyncio.gather(*(through_us(stub, 10_000 + n, f"w{n}") for n in range(2 * workers)))
    jobs = workers * jobs_per_worker
    started = time.perf_counter()
    await asyncio.gather(*(through_us(stub, n, f"s{n % SESSIONS}") for n in range(jobs)))
    return jobs * JOB_SECONDS / (time.perf_counter() - started)


async def scaling(workers: int, jobs_per_worker: int) -> tuple[float, float]:
    """Speed with processes before NATS, and with one process, before the same stand-ins."""
    async with contextlib.AsyncExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        switch = f'node_seconds={{"EmptyImage": {JOB_SECONDS}}}'
        comfys = [await stack.enter_async_context(ComfyUIProcess([switch])) for _ in range(workers)]
        urls = [comfy.url for comfy in comfys]
        server = stack.enter_context(nats_server(base / "nats"))
        async with open_fleet(base / "data", server, urls, settings={}) as fleet:
            shared = await speed(fleet.replicas[0].stub, workers, jobs_per_worker)
        async with service(urls) as (stub, _):
            return shared, await speed(stub, workers, jobs_per_worker)


async def measure(jobs: int, jobs_per_worker: int) -> dict[str, float]:
    """Return the figures."""
    figures = await latencies(jobs) if jobs else {}
    if jobs_per_worker:
        first = 0.0
        for count in (1, 2, 4):
            shared, local = await scaling(count, jobs_per_worker)
            first = first or shared
            figures[f"nats_speed_{count}"] = round(shared, 3)
            figures[f"nats_linear_{count}"] = round(shared / count / first, 3)
            figures[f"local_speed_{count}"] = round(local, 3)
    return figures


def main() -> None:
    """Measure and print the figures as one JSON object."""
    given = [int(text) for text in sys.argv[1:]]
    jobs, jobs_per_worker = (*given, *(500, 15)[len(given) :])
    configure_logging("bench", "ERROR")
    figures = asyncio.run(measure(jobs, jobs_per_worker))
    print(json.dumps({"bench": "queue_nats", **figures}))


if __name__ == "__main__":
    main()

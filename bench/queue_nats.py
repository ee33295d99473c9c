"""What the queue of several processes costs, beside the queue of one process in the same run.

- Latency: from asking for a job to its end, for jobs that take no time, one at a time; then the
  part of it until a worker begins. The queue of one process is the reference. Everything but the
  NATS server runs in this process, so both are charged for the same work.
- Scaling: 1, 2, 4 processes with a worker each, whose jobs last a second at a stand-in, in units of
  one worker that never pauses; the reference is one process before the same stand-ins.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.comfyui import SESSIONS, service, through_us
from bench.figures import Figure, at_least, at_most
from bench.report import main
from generation_service.queue.jobs import Started
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
    from collections.abc import Iterator

    from tests.integration.generation import Stub

WARM_UP = 20
JOB_SECONDS = 1.0
LATENCY_MS = 20.0
LINEAR = 0.9


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


async def latencies(jobs: int) -> list[Figure]:
    """Compare the queues."""
    begin: list[float] = []
    end: list[float] = []
    with tempfile.TemporaryDirectory() as folder, nats_server(Path(folder) / "nats") as server:
        for pooling in (jetstream_pooling(server, in_memory=False), local_pooling):
            begun, ended = await latency(pooling, Path(folder) / f"{len(end)}.sqlite3", jobs)
            begin.append(statistics.median(begun))
            end.append(statistics.median(ended))
    return [
        Figure(f"queue over NATS, {name}, p50", "ms", shared, local, (at_most(LATENCY_MS),))
        for name, (shared, local) in {"asked until begun": begin, "asked until done": end}.items()
    ]


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


async def throughput(jobs_per_worker: int) -> list[Figure]:
    """Measure 1, 2 and 4 processes, in units of what one of them does."""
    found: list[Figure] = []
    one = one_local = 0.0
    for count in (1, 2, 4):
        shared, local = await scaling(count, jobs_per_worker)
        one, one_local = one or shared, one_local or local
        name = f"{count} worker processes over NATS, of {count} × one"
        linear, local_linear = shared / count / one, local / count / one_local
        found.append(Figure(name, "", linear, local_linear, (at_least(LINEAR),), True))
    return found


def figures(short: bool) -> Iterator[Figure]:
    """Measure latency and throughput."""
    jobs, jobs_per_worker = (100, 5) if short else (500, 15)
    yield from asyncio.run(latencies(jobs))
    yield from asyncio.run(throughput(jobs_per_worker))


if __name__ == "__main__":
    main("queue_nats", figures)

"""What the generation service adds to a ComfyUI job, how it scales over workers, what it keeps.

- Added time: a job through the service, and a bare script that posts, waits on the WebSocket,
  reads the history and fetches the file, in turn, against the same stand-in without delay. Medians
  in milliseconds; service, stand-in and script are a process each, and share the machine's cores.
- Scaling: n workers with jobs of 200 ms, in units of one worker that never pauses between jobs;
  then the same by n bare scripts, one for each worker: what the stand-ins can give here.
- Memory: the service's resident set over many jobs of several sessions; the slope is that of a line
  through the samples after the first 40 %, when the remembered jobs are as many as they may be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil

from bench.figures import Figure, at_least, at_most
from bench.report import main
from servicekit.channel import open_channel
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from tests.fakes.comfyui import ComfyUIProcess, prompt_id_of
from tests.integration.comfyui_jobs import comfy_order, graph, workers_of
from tests.integration.generation import acting
from tests.support import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from tests.integration.generation import Stub

WARM_UP = 10
JOB_SECONDS = 0.2
ADDED_MS = 5.0
LINEAR = 0.95
SESSIONS = 10
SAMPLES = 50
SETTLED = 0.4


@contextlib.asynccontextmanager
async def service(urls: Sequence[str], **settings: object) -> AsyncIterator[tuple[Stub, int]]:
    """Run a generation service as a process before these workers; yields a stub and its pid."""
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "generation_service"),
            env={
                **os.environ,
                "COMFYUI_WORKERS": ",".join(urls),
                "GENERATION_DATA_DIR": folder,
                "GENERATION_LISTEN_ADDRESS": address,
                "GENERATION_EMBEDDED_PRELOAD": "false",
                "GENERATION_LOG_LEVEL": "ERROR",
                **{f"GENERATION_{name.upper()}": str(value) for name, value in settings.items()},
            },
        )
        try:
            async with open_channel(address) as channel:
                stub = GenerationServiceStub(channel)
                await asyncio.wait_for(channel.channel_ready(), 30)
                await eventually(lambda: _all_well(stub), within_seconds=30)
                yield stub, process.pid
        finally:
            process.terminate()
            await process.wait()


async def _all_well(stub: Stub) -> bool:
    workers = await workers_of(stub)
    return all(worker.version or not worker.address for worker in workers.values())


async def through_us(stub: Stub, number: int, session: str = "s1") -> None:
    """Do a job through the service; its file is stored when it ends."""
    async for event in stub.GenerateMedia(comfy_order(number), metadata=acting(session)):
        last = event
    if last.finished.state != pb.JOB_STATE_DONE:
        raise SystemExit(f"a job failed: {last.finished}")


async def bare(
    http: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, url: str, number: int
) -> None:
    """Do a job as the shortest script would."""
    prompt_id = str(uuid.uuid4())
    nodes = graph(width=72, color=number)
    nodes["2"]["inputs"]["filename_prefix"] = prompt_id
    body = {"prompt": nodes, "client_id": "bare", "prompt_id": prompt_id}
    async with http.post(f"{url}/prompt", json=body) as response:
        response.raise_for_status()
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            content = json.loads(message.data)
            if content["type"] == "execution_success":
                break
    entry: dict[str, Any] = {}
    while not entry:
        async with http.get(f"{url}/history/{prompt_id}") as response:
            entry = (await response.json()).get(prompt_id, {})
    file = entry["outputs"]["2"]["images"][0]
    async with http.get(f"{url}/view", params=file) as response:
        if prompt_id_of(await response.read()) != prompt_id:
            raise SystemExit("the bare script fetched a foreign picture")


async def added_time(pairs: int) -> Figure:
    """Compare ours and the bare script, job by job in turn."""
    ours: list[float] = []
    reference: list[float] = []
    async with (
        ComfyUIProcess() as comfy,
        service([comfy.url]) as (stub, _),
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{comfy.url}/ws?clientId=bare") as socket,
    ):
        for number in range(pairs + WARM_UP):
            for times, work in (
                (ours, through_us(stub, 2 * number)),
                (reference, bare(http, socket, comfy.url, 2 * number + 1)),
            ):
                started = time.perf_counter()
                await work
                times.append((time.perf_counter() - started) * 1000)
    mine, bare_script = (statistics.median(times[WARM_UP:]) for times in (ours, reference))
    goals = (at_most(ADDED_MS, "added"),)
    return Figure("ComfyUI job without delay, p50", "ms", mine, bare_script, goals)


async def speed_up(worker_count: int, jobs_per_worker: int) -> tuple[float, float]:
    """Return what these workers do for us and for bare scripts.

    Returns:
        Both in units of one worker that never pauses.
    """
    async with contextlib.AsyncExitStack() as stack:
        switch = f'node_seconds={{"EmptyImage": {JOB_SECONDS}}}'
        workers = [
            await stack.enter_async_context(ComfyUIProcess([switch])) for _ in range(worker_count)
        ]
        urls = [worker.url for worker in workers]
        stub, _ = await stack.enter_async_context(service(urls))
        await asyncio.gather(
            *(through_us(stub, 10_000 + n, f"w{n}") for n in range(2 * worker_count))
        )
        jobs = worker_count * jobs_per_worker
        ideal = jobs * JOB_SECONDS
        started = time.perf_counter()
        await asyncio.gather(*(through_us(stub, n, f"s{n % SESSIONS}") for n in range(jobs)))
        ours = ideal / (time.perf_counter() - started)
        started = time.perf_counter()
        await asyncio.gather(*(bare_jobs(url, 20_000, jobs_per_worker) for url in urls))
        return ours, ideal / (time.perf_counter() - started)


async def bare_jobs(url: str, first: int, count: int) -> None:
    """Do jobs one after the other, as the shortest script would."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/ws?clientId=bare") as socket,
    ):
        for number in range(first, first + count):
            await bare(http, socket, url, number)


async def memory(jobs: int) -> list[Figure]:
    """Follow the service's resident set over many jobs."""
    samples: list[tuple[int, int]] = []
    every = max(1, jobs // SAMPLES)
    done = 0
    async with (
        ComfyUIProcess() as comfy,
        service([comfy.url], jobs_remembered=max(1, jobs // 5)) as (stub, pid),
    ):
        process = psutil.Process(pid)

        async def one_after_another(session: int) -> None:
            nonlocal done
            for number in range(jobs // SESSIONS):
                await through_us(stub, number * SESSIONS + session, f"s{session}")
                done += 1
                if done % every == 0:
                    samples.append((done, process.memory_info().rss))

        started = time.perf_counter()
        await asyncio.gather(*(one_after_another(session) for session in range(SESSIONS)))
        seconds = time.perf_counter() - started
    settled = [(count, rss) for count, rss in samples if count > jobs * SETTLED]
    slope, _ = statistics.linear_regression(*zip(*settled, strict=True))
    return [
        Figure("ComfyUI jobs per second, one worker", "/s", done / seconds, more_is_better=True),
        Figure("memory of the generation service", "MiB", samples[-1][1] / 2**20),
        Figure("memory kept per ComfyUI job", "bytes", slope),
    ]


async def scaling(jobs_per_worker: int) -> list[Figure]:
    """Measure 1, 2 and 4 workers."""
    found = []
    for count in (1, 2, 4):
        ours, bare_script = await speed_up(count, jobs_per_worker)
        name = f"{count} ComfyUI workers, jobs of 200 ms, of the ideal"
        goals = (at_least(LINEAR),)
        found.append(Figure(name, "", ours / count, bare_script / count, goals, True))
    return found


def figures(short: bool) -> Iterator[Figure]:
    """Measure the added time, the scaling, and the memory."""
    pairs, jobs_per_worker, memory_jobs = (50, 10, 300) if short else (200, 20, 1_000)
    yield asyncio.run(added_time(pairs))
    yield from asyncio.run(scaling(jobs_per_worker))
    yield from asyncio.run(memory(memory_jobs))


if __name__ == "__main__":
    main("comfyui", figures)

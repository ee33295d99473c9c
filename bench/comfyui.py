"""What the generation service adds to a ComfyUI job, how it scales over workers, what it keeps.

- Added time: a job through the service, and a bare script that posts, waits on the WebSocket,
  reads the history and fetches the file, in turn, against the same stand-in without delay. Medians
  in milliseconds; service, stand-in and script are a process each, and share the machine's cores.
- Scaling: n workers with jobs of 200 ms, in units of one worker that never pauses between jobs;
  then the same by n bare scripts, one for each worker: what the stand-ins can give here.
- Memory: the service's resident set over many jobs of several sessions; the slope is that of a line
  through the samples after the first 40 %, when the remembered jobs are as many as they may be.

Usage: `python -m bench.comfyui [PAIRS] [JOBS_PER_WORKER] [JOBS_FOR_MEMORY]`; 0 leaves a part out.
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

from servicekit.channel import open_channel
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from tests.fakes.comfyui import ComfyUIProcess, prompt_id_of
from tests.integration.comfyui_jobs import comfy_order, graph, workers_of
from tests.integration.generation import acting
from tests.support import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.integration.generation import Stub

WARM_UP = 10
JOB_SECONDS = 0.2
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


async def added_time(pairs: int) -> dict[str, float]:
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
    ours_ms, bare_ms = (statistics.median(times[WARM_UP:]) for times in (ours, reference))
    return {
        "ours_p50_ms": round(ours_ms, 2),
        "bare_p50_ms": round(bare_ms, 2),
        "added_p50_ms": round(ours_ms - bare_ms, 2),
    }


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


async def memory(jobs: int) -> dict[str, float]:
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
    return {
        "memory_jobs": done,
        "jobs_per_second": round(done / seconds, 1),
        "rss_first_mib": round(samples[0][1] / 2**20, 1),
        "rss_settled_mib": round(settled[0][1] / 2**20, 1),
        "rss_last_mib": round(samples[-1][1] / 2**20, 1),
        "rss_slope_bytes_per_job": round(slope),
    }


async def measure(pairs: int, jobs_per_worker: int, memory_jobs: int) -> dict[str, float]:
    """Return the figures."""
    figures: dict[str, float] = {}
    if pairs:
        figures |= await added_time(pairs)
    if jobs_per_worker:
        for count in (1, 2, 4):
            ours, bare_script = await speed_up(count, jobs_per_worker)
            figures[f"speed_up_{count}"] = round(ours, 3)
            figures[f"efficiency_{count}"] = round(ours / count, 3)
            figures[f"bare_efficiency_{count}"] = round(bare_script / count, 3)
    if memory_jobs:
        figures |= await memory(memory_jobs)
    return figures


def main() -> None:
    """Measure and print the figures as one JSON object."""
    given = [int(text) for text in sys.argv[1:]]
    pairs, jobs_per_worker, memory_jobs = (*given, *(200, 20, 1000)[len(given) :])
    figures = asyncio.run(measure(pairs, jobs_per_worker, memory_jobs))
    print(json.dumps({"bench": "comfyui", **figures}))


if __name__ == "__main__":
    main()

"""The generation service is killed and started again: no job is lost, none is done twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING

from servicekit.channel import open_channel
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk.generation.v1 import generation_service_pb2_grpc
from tests.fakes.comfyui import ComfyUIServer, prompt_id_of
from tests.integration.comfyui_jobs import ADMIN, comfy_order, workers_of
from tests.integration.generation import acting
from tests.support import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.generation import Stub

FINAL = (pb.JOB_STATE_DONE, pb.JOB_STATE_FAILED, pb.JOB_STATE_LOST, pb.JOB_STATE_CANCELLED)


@contextlib.asynccontextmanager
async def service(folder: Path, urls: list[str]) -> AsyncIterator[Stub]:
    """A client of a generation service in a process of its own, which is killed at the end."""
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "generation_service",
        env={
            **os.environ,
            "COMFYUI_WORKERS": ",".join(urls),
            "GENERATION_DATA_DIR": str(folder),
            "GENERATION_LISTEN_ADDRESS": address,
            "GENERATION_EMBEDDED_PRELOAD": "false",
            "GENERATION_LOG_LEVEL": "ERROR",
        },
    )
    async with open_channel(address) as channel:
        try:
            await channel.channel_ready()
            yield generation_service_pb2_grpc.GenerationServiceStub(channel)
        finally:  # before the channel closes, which would cancel what its caller watches
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def jobs_of(stub: Stub) -> list[pb.Job]:
    """All jobs."""
    answer = await stub.ListJobs(pb.ListJobsRequest(page_size=200), metadata=ADMIN)
    return list(answer.jobs)


async def states_of(stub: Stub) -> list[pb.JobState.ValueType]:
    """The states of all jobs."""
    return [job.state for job in await jobs_of(stub)]


async def test_a_killed_service_ends_all_its_jobs_after_the_restart(tmp_path: Path) -> None:
    """SIGKILL with 20 waiting and 4 running: each is done with its own picture, none twice."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(ComfyUIServer()) for _ in range(4)]
        for server in servers:
            server.switches.pause = True
        urls = [server.url for server in servers]
        async with service(tmp_path, urls) as stub:
            calls = [
                stub.GenerateMedia(
                    comfy_order(n, idempotency_key=f"key {n}"), metadata=acting(f"s{n}")
                )
                for n in range(24)
            ]
            ids = [(await anext(aiter(call))).job_id for call in calls]

            async def four_run() -> bool:
                return (await states_of(stub)).count(pb.JOB_STATE_RUNNING) == 4

            await eventually(four_run)
        for server in servers:
            server.switches.pause = False
        async with service(tmp_path, urls) as stub:

            async def all_ended() -> bool:
                return all(state in FINAL for state in await states_of(stub))

            await eventually(all_ended, within_seconds=30)
            jobs = {job.job_id: job for job in await jobs_of(stub)}
            assert set(jobs) == set(ids)
            assert {job.state for job in jobs.values()} == {pb.JOB_STATE_DONE}
            for job in jobs.values():
                (output,) = job.outputs
                content = await asyncio.to_thread((tmp_path / output.media.uri).read_bytes)
                assert prompt_id_of(content) == job.finished.backend_job_id
            again = stub.GenerateMedia(
                comfy_order(3, idempotency_key="key 3"), metadata=acting("s3")
            )
            replayed = [event async for event in again]
            assert replayed[-1].job_id == ids[3]
            assert replayed[-1].finished == jobs[ids[3]].finished
        ran = [each.prompt_id for server in servers for each in server.runs]
        assert len(ran) == len(set(ran)) == 24


async def test_workers_and_pause_survive_a_restart(tmp_path: Path) -> None:
    """What was said by RPC is said once."""
    async with ComfyUIServer() as one, ComfyUIServer() as two:
        async with service(tmp_path, [one.url]) as stub:
            added = await stub.AddWorker(pb.AddWorkerRequest(address=two.url), metadata=ADMIN)
            await stub.PauseQueue(pb.PauseQueueRequest(), metadata=ADMIN)
            drain = pb.DrainWorkerRequest(name="embedded-1")
            await stub.DrainWorker(drain, metadata=ADMIN)
        async with service(tmp_path, [one.url]) as stub:
            workers = await workers_of(stub)
            assert added.worker.name in workers
            assert workers["embedded-1"].state == pb.WORKER_STATE_DRAINED
            assert (await stub.GetQueue(pb.GetQueueRequest(), metadata=ADMIN)).queue.paused

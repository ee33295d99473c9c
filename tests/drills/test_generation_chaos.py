"""Everything goes wrong at random on all workers, and no picture is lost or mixed up."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.fakes.comfyui import ComfyUIServer, RandomFaults, prompt_id_of
from tests.integration.comfyui_jobs import comfy_order, media_factory, workers_of
from tests.integration.generation import run
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path

WORKERS = 3
JOBS = 24


async def test_jobs_end_rightly_whatever_happens_to_their_workers(
    tmp_path: Path, seed: int
) -> None:
    """Each job ends; what is delivered is its own; nothing is left running or delivered twice."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(ComfyUIServer()) for _ in range(WORKERS)]
        for server in servers:
            server.switches.node_seconds = {"EmptyImage": 0.2}
        urls = [server.url for server in servers]
        stub = await stack.enter_async_context(media_factory(tmp_path, urls, job_attempts=6))
        async with contextlib.AsyncExitStack() as chaos:
            for number, server in enumerate(servers):
                faults = RandomFaults(server, seed * 100 + number, longest_seconds=1.0)
                await chaos.enter_async_context(faults.flipping())
            stories = await asyncio.gather(
                *(run(stub, comfy_order(n), session=f"s{n}") for n in range(JOBS))
            )
        delivered: list[str] = []
        for events in stories:
            end = events[-1].finished
            outputs = [each.output for each in events if each.WhichOneof("event") == "output"]
            assert (end.state == pb.JOB_STATE_DONE) == (len(outputs) == 1), end
            assert end.state in (pb.JOB_STATE_DONE, pb.JOB_STATE_FAILED, pb.JOB_STATE_LOST), end
            for output in outputs:
                content = await asyncio.to_thread((tmp_path / output.media.uri).read_bytes)
                assert prompt_id_of(content) == end.backend_job_id
                delivered.append(end.backend_job_id)
        assert len(delivered) == len(set(delivered)) >= JOBS // 2
        runs = [each for server in servers for each in server.runs]
        # One that died with its server may be posted there again; it must not succeed twice.
        done = Counter(each.prompt_id for each in runs if each.outcome == "execution_success")
        assert set(done.values()) <= {1}

        async def all_idle() -> bool:
            workers = await workers_of(stub)
            return all(each.state == pb.WORKER_STATE_READY for each in workers.values())

        await eventually(all_idle, within_seconds=60)  # none has an old prompt left to end

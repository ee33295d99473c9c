"""The stand-in as a process that can be killed."""

from __future__ import annotations

import aiohttp
import pytest

from tests.fakes.comfyui import ComfyUIProcess, prompt_id_of
from tests.support import eventually
from tests.unit.fakes.bare_client import BareClient, picture, slow_picture


async def test_killed_process_loses_all_but_files_and_its_record_of_runs() -> None:
    """SIGKILL mid-run: queue and history are gone, files and the proof of what ran are not."""
    async with ComfyUIProcess(["step_seconds=0.01"]) as comfy, BareClient(comfy.url) as client:
        done = await client.run(picture(), prompt_id="done")
        await client.post(slow_picture(ticks=1000), "running")
        await client.post(picture(), "queued")
        await eventually(lambda: comfy.run_count("running"))
        url = comfy.url

        await comfy.kill()
        with pytest.raises(aiohttp.ClientError):
            await client.get("/queue")
        await comfy.start()
        assert comfy.url == url
        assert await client.get("/history") == {}
        assert await client.get("/queue") == {"queue_running": [], "queue_pending": []}
        (content,) = await client.files(done)
        assert prompt_id_of(content) == "done"
        assert [(run.prompt_id, run.outcome) for run in comfy.runs] == [
            ("done", "execution_success"),
            ("running", "running"),
        ]


async def test_process_is_changed_while_it_runs() -> None:
    """Switches and one-time faults reach the process."""
    async with ComfyUIProcess() as comfy, BareClient(comfy.url) as client:
        await comfy.set(history_cap=0)
        await comfy.next(runs=["fail"], answers={"GET prompt": ["error"]})
        assert await client.status_of("GET", "/prompt") == 500
        assert await client.status_of("GET", "/prompt") == 200
        entry = await client.run(picture())
        assert entry["status"]["status_str"] == "error"


async def test_faulty_run_ends_the_process() -> None:
    """The fault "exit" really ends it."""
    async with ComfyUIProcess() as comfy, BareClient(comfy.url) as client:
        await comfy.next(runs=["exit"])
        await client.post(picture(), "last")

        async def is_gone() -> bool:
            try:
                await client.get("/queue")
            except aiohttp.ClientError:
                return True
            return False

        await eventually(is_gone)
        await comfy.restart()
        assert await client.get("/history") == {}
        assert comfy.run_count("last") == 1

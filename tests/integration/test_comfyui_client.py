"""The ComfyUI client against a stand-in that works: results, progress, taking over, cleaning up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from generation_service.backends.comfyui.check import check_workflow
from generation_service.backends.comfyui.client import ComfyUIWorker
from generation_service.backends.comfyui.errors import (
    LoadTimedOutError,
    OutputTooLargeError,
    PromptReleasedError,
    RunTimedOutError,
    UploadRefusedError,
)
from generation_service.backends.comfyui.prompt import (
    Deadlines,
    Previewed,
    Progressed,
    Started,
    Waiting,
)
from tests.fakes.comfyui import ComfyUIServer, prompt_id_of
from tests.integration.comfyui import (
    PATIENT,
    MemorySink,
    node,
    of_kind,
    picture_graph,
    prompt_of,
    sampler_graph,
    working,
)
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from generation_service.backends.comfyui.prompt import Happening, OutputFile


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    """A stand-in that does nothing wrong."""
    async with ComfyUIServer() as server:
        yield server


@pytest.fixture
async def worker(comfy: ComfyUIServer) -> AsyncIterator[ComfyUIWorker]:
    """A client of it."""
    async with working(comfy) as client:
        yield client


async def test_picture_is_that_of_its_own_prompt(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """A picture comes from the run of its own prompt, with everything a record needs."""
    prompt, sink = prompt_of(picture_graph()), MemorySink()
    result = await worker.run(prompt, sink)
    assert prompt_id_of(sink.files[1]) == prompt.prompt_id == result.prompt_id
    assert result.workflow_sha256 == prompt.workflow.sha256
    assert (result.outputs_reused, result.warnings, result.worker_number) == (False, (), 0)
    assert result.durations.load == 0 <= result.durations.run
    assert comfy.run_count(prompt.prompt_id) == 1


async def test_defaults_work_against_a_server_as_it_is(comfy: ComfyUIServer) -> None:
    """Without any limits given, a prompt runs; no call names an Origin."""
    async with ComfyUIWorker(comfy.url) as worker:
        await worker.run(prompt_of(picture_graph()), MemorySink())
        assert worker.is_connected
        assert worker.name == f"127.0.0.1:{comfy.port}"
    assert not any("Origin" in each.headers for each in comfy.requests)


async def test_history_entries_are_deleted_after_reading(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """Nothing of ours stays in the worker's history, and nothing of others is touched."""
    async with httpx.AsyncClient(base_url=comfy.url) as somebody:
        await somebody.post("/prompt", json={"prompt": picture_graph(), "prompt_id": "theirs"})
    for _ in range(3):
        await worker.run(prompt_of(picture_graph()), MemorySink())
    await eventually(lambda: list(comfy.queue.history) == ["theirs"])


async def test_file_names_belong_to_one_prompt(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """Two equal prompts write two files, so neither reuses a name or a file of the other."""
    names = []
    for _ in range(2):
        result = await worker.run(prompt_of(picture_graph()), MemorySink())
        assert not result.outputs_reused
        names += [file["filename"] for file in comfy.runs[-1].files]
        assert names[-1].startswith(result.prompt_id)
    assert len(set(names)) == 2


async def test_cached_output_is_said_to_be_reused(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """An output node that keeps no own name is served from the cache, and that is recorded."""
    graph = {
        "1": node("EmptyImage", width=64, height=64, batch_size=1, color=7),
        "2": node("PreviewImage", images=["1", 0]),
    }
    first = await worker.run(prompt_of(graph), MemorySink())
    again = await worker.run(prompt_of(graph), MemorySink())
    assert (first.outputs_reused, again.outputs_reused) == (False, True)


async def test_batch_gives_every_picture(worker: ComfyUIWorker) -> None:
    """A batch of three is three files, in order."""
    graph = picture_graph()
    graph["1"]["inputs"]["batch_size"] = 3
    prompt, sink = prompt_of(graph), MemorySink()
    result = await worker.run(prompt, sink)
    assert [file.number for file in result.files] == sorted(sink.files) == [1, 2, 3]
    assert {prompt_id_of(data) for data in sink.files.values()} == {prompt.prompt_id}


_FRAMES = {"1": node("EmptyImage", width=64, height=64, batch_size=4, color=9)}
_SOUND = {"1": node("EmptyLatentAudio", seconds=1.0, batch_size=1)}
_MEDIA: list[tuple[str, str, dict[str, Any]]] = [
    (
        "video",
        "webp",
        _FRAMES
        | {
            "2": node(
                "SaveAnimatedWEBP",
                images=["1", 0],
                filename_prefix="x",
                fps=6.0,
                lossless=True,
                quality=80,
                method="default",
            )
        },
    ),
    (
        "video",
        "webm",
        _FRAMES
        | {
            "2": node(
                "SaveWEBM", images=["1", 0], filename_prefix="x", codec="vp9", fps=8.0, crf=32.0
            )
        },
    ),
    (
        "video",
        "mp4",
        _FRAMES
        | {
            "3": node("CreateVideo", images=["1", 0], fps=8.0),
            "2": node(
                "SaveVideo", video=["3", 0], filename_prefix="x", format="auto", codec="auto"
            ),
        },
    ),
]


@pytest.mark.parametrize(("medium", "extension", "graph"), _MEDIA)
async def test_moving_pictures_are_fetched(
    worker: ComfyUIWorker, medium: str, extension: str, graph: dict[str, Any]
) -> None:
    """Videos and animated pictures come under whatever key their node uses."""
    prompt, sink = prompt_of(graph, {"node_id": "2", "output_type": medium}), MemorySink()
    result = await worker.run(prompt, sink)
    assert [file.extension for file in result.files] == [extension]
    assert prompt_id_of(sink.files[1]) == prompt.prompt_id


async def test_text_output_is_a_text(worker: ComfyUIWorker) -> None:
    """What a node says instead of saving it comes as text, with the files of the others."""
    graph = picture_graph() | {"5": node("PreviewAny", source="hello")}
    prompt = prompt_of(graph, "2", {"node_id": "5", "output_type": "text"})
    result = await worker.run(prompt, MemorySink())
    assert [text.text for text in result.texts] == ["hello"]
    assert len(result.files) == 1


async def test_progress_is_told_in_phases(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """Loading is told apart from running, percent never falls, steps count."""
    comfy.switches.checkpoint_cold_seconds = 0.2
    comfy.switches.step_seconds = 0.02
    heard: list[Happening] = []
    result = await worker.run(prompt_of(sampler_graph(10), "9"), MemorySink(), heard.append)
    progress: list[Progressed] = of_kind(heard, Progressed)
    assert [type(each) for each in heard].count(Started) == 1
    assert progress[0].loading
    assert progress[0].node == "CheckpointLoaderSimple"
    assert not progress[-1].loading
    percents = [each.percent for each in progress]
    assert percents == sorted(percents)
    assert len({each.percent for each in progress if each.node == "KSampler"}) > 5
    assert result.durations.load > 0.1


async def test_waiting_behind_others_is_told(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """A prompt behind two others tells its position."""
    comfy.switches.pause = True
    heard: list[Happening] = []
    tasks = [asyncio.create_task(worker.run(prompt_of(picture_graph()), MemorySink()))]
    await eventually(lambda: len(comfy.queue.pending) == 1)
    tasks.append(
        asyncio.create_task(worker.run(prompt_of(picture_graph()), MemorySink(), heard.append))
    )
    await eventually(lambda: Waiting(1) in heard)
    comfy.switches.pause = False
    await asyncio.gather(*tasks)


async def test_previews_are_shown_only_where_they_are_wanted(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """A preview is a picture of this very prompt; without asking for it there is none."""
    comfy.switches.preview_method = "latent2rgb"
    comfy.switches.step_seconds = 0.01
    for wanted in (True, False):
        heard: list[Happening] = []
        prompt = prompt_of(sampler_graph(), "9", previews=wanted, negative_prompt=str(wanted))
        await worker.run(prompt, MemorySink(), heard.append)
        shown: list[Previewed] = of_kind(heard, Previewed)
        assert bool(shown) is wanted
        assert {prompt_id_of(each.preview.data) for each in shown} <= {prompt.prompt_id}
        comfy.switches.cache = "none"


async def test_preview_over_the_limit_is_dropped(comfy: ComfyUIServer) -> None:
    """Previews are bounded in size; the run does not mind."""
    comfy.switches.preview_method = "latent2rgb"
    heard: list[Happening] = []
    async with working(comfy, max_preview_bytes=10) as worker:
        prompt = prompt_of(sampler_graph(), "9", previews=True)
        await worker.run(prompt, MemorySink(), heard.append)
    assert not of_kind(heard, Previewed)


async def test_uploaded_picture_is_used_under_the_returned_name(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """An input is named by its content, and the name that the worker gave goes into the graph."""
    sink = MemorySink()
    await worker.run(prompt_of(picture_graph()), sink)
    name = await worker.upload(sink.files[1], "../../my holiday.PNG")
    assert name == await worker.upload(sink.files[1], "again.png")
    assert name.startswith("stellwerk/")
    assert name.endswith(".png")
    graph = {
        "1": node("LoadImage", image=name),
        "2": node("SaveImage", images=["1", 0], filename_prefix="x"),
    }
    await worker.run(prompt_of(graph), sink)


async def test_upload_over_the_workers_limit_is_the_jobs_fault(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """413 is no reason to try another worker."""
    comfy.switches.max_upload_bytes = 1000
    with pytest.raises(UploadRefusedError):
        await worker.upload(bytes(5000), "x.png")


async def test_files_over_the_limit_are_refused(comfy: ComfyUIServer) -> None:
    """A result larger than allowed ends as such, and the worker forgets it."""
    async with working(comfy, max_output_bytes=100) as worker:
        with pytest.raises(OutputTooLargeError):
            await worker.run(prompt_of(picture_graph()), MemorySink())
        await eventually(lambda: not comfy.queue.history)


async def test_released_prompt_is_taken_over_by_its_id(comfy: ComfyUIServer) -> None:
    """A prompt goes on when its process leaves, and the next process gets its result once."""
    prompt = prompt_of(picture_graph(ProbeSleep={"tag": 1, "seconds": 0.5}))
    async with working(comfy) as worker:
        task = asyncio.create_task(worker.run(prompt, MemorySink()))
        await eventually(lambda: comfy.run_count(prompt.prompt_id))
    with pytest.raises(PromptReleasedError):
        await task
    sink = MemorySink()
    async with working(comfy) as worker:
        await worker.resume(prompt, sink)
        await eventually(lambda: not comfy.queue.history)
    assert prompt_id_of(sink.files[1]) == prompt.prompt_id
    assert comfy.run_count(prompt.prompt_id) == 1


async def test_prompt_that_ended_meanwhile_is_taken_over(comfy: ComfyUIServer) -> None:
    """What ended while nobody looked is found in the history."""
    prompt, sink = prompt_of(picture_graph(ProbeSleep={"tag": 1, "seconds": 0.2})), MemorySink()
    async with working(comfy) as worker:
        task = asyncio.create_task(worker.run(prompt, MemorySink()))
        await eventually(lambda: comfy.run_count(prompt.prompt_id))
        worker.release(prompt.prompt_id)
        with pytest.raises(PromptReleasedError):
            await task
        await eventually(lambda: prompt.prompt_id in comfy.queue.history)
        await worker.resume(prompt, sink)
    assert prompt_id_of(sink.files[1]) == prompt.prompt_id


async def test_run_over_its_limit_is_stopped(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """A run that takes too long is interrupted, and the next one works."""
    ticking = {"tag": 1, "ticks": 200, "tick_ms": 20}
    deadlines = Deadlines(wait_seconds=5, load_seconds=5, run_seconds=0.3)
    with pytest.raises(RunTimedOutError):
        await worker.run(
            prompt_of(picture_graph(ProbeTick=ticking), deadlines=deadlines), MemorySink()
        )
    assert comfy.runs[-1].outcome == "execution_interrupted"
    await worker.run(prompt_of(picture_graph()), MemorySink())


async def test_loading_over_its_limit_is_the_workers_fault(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """Models that do not load in time send the job elsewhere; running time does not count."""
    comfy.switches.checkpoint_cold_seconds = 0.6
    deadlines = Deadlines(wait_seconds=5, load_seconds=0.2, run_seconds=5)
    with pytest.raises(LoadTimedOutError):
        await worker.run(prompt_of(sampler_graph(), "9", deadlines=deadlines), MemorySink())


async def test_broken_sink_is_not_hidden(worker: ComfyUIWorker) -> None:
    """What goes wrong where files are kept is the caller's to see."""

    class FullDisk:
        async def store(self, file: OutputFile, pieces: AsyncIterator[bytes]) -> None:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        await worker.run(prompt_of(picture_graph(), deadlines=PATIENT), FullDisk())


async def test_orphan_is_ended_by_its_id(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """A prompt that nobody wants any more after a restart of the service is ended by its id."""
    prompt = prompt_of(picture_graph(ProbeTick={"tag": 1, "ticks": 500, "tick_ms": 20}))
    task = asyncio.create_task(worker.run(prompt, MemorySink()))
    await eventually(lambda: comfy.run_count(prompt.prompt_id))
    worker.release(prompt.prompt_id)
    with pytest.raises(PromptReleasedError):
        await task
    await worker.cancel(prompt.prompt_id)
    assert comfy.runs[-1].outcome == "execution_interrupted"
    await eventually(lambda: not comfy.queue.history)


async def test_prompt_runs_once_at_a_time(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """An id is never given twice, since the worker would run both."""
    prompt = prompt_of(picture_graph(ProbeSleep={"tag": 1, "seconds": 0.2}))
    task = asyncio.create_task(worker.run(prompt, MemorySink()))
    await eventually(lambda: prompt.prompt_id in worker.running)
    with pytest.raises(ValueError, match=prompt.prompt_id):
        await worker.run(prompt, MemorySink())
    await task
    assert comfy.run_count(prompt.prompt_id) == 1


async def test_worker_tells_about_itself(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """Version, memory and whether files hold prompts; what it runs; which nodes it has."""
    stats = await worker.stats()
    assert stats.version.startswith("0.")
    assert stats.vram_total_bytes >= stats.vram_free_bytes > 0
    assert (await worker.queue()).running == ()
    prompt = prompt_of(sampler_graph(), "9")
    catalogue = await worker.catalogue()
    assert check_workflow(prompt.workflow, catalogue).is_fine
    await worker.free()
    assert comfy.requests[-1].json == {"unload_models": True, "free_memory": True}


async def test_seed_of_64_bits_arrives_exactly(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """The largest seed is in the worker's graph as it was asked for."""
    graph = sampler_graph(1)
    graph["3"]["inputs"]["seed"] = 2**64 - 1
    await worker.run(prompt_of(graph, "9"), MemorySink())
    posted = next(each.json for each in comfy.requests if each.path == "/prompt")
    assert posted["prompt"]["3"]["inputs"]["seed"] == 2**64 - 1

"""The ComfyUI client against a stand-in at its worst: one test per fault of a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from generation_service.backends.comfyui.errors import (
    ComfyUIError,
    JobFaultError,
    NodeFailedError,
    OutputBlockedError,
    OutputMissingError,
    OutputUnreadableError,
    PromptInterruptedError,
    PromptLostError,
    PromptTooLargeError,
    WorkerBusyError,
    WorkerDeadError,
    WorkerFaultError,
    WorkerOutOfMemoryError,
    WorkerRefusedError,
    WorkerRestartedError,
    WorkerUnreachableError,
    WorkflowInvalidError,
    WorkflowPartlyInvalidError,
)
from generation_service.backends.comfyui.prompt import Deadlines
from tests.fakes.comfyui import ComfyUIServer, HttpFault, RunFault, prompt_id_of
from tests.integration.comfyui import (
    MemorySink,
    node,
    picture_graph,
    prompt_of,
    sampler_graph,
    working,
)
from tests.support import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from generation_service.backends.comfyui.client import ComfyUIWorker
    from generation_service.backends.comfyui.prompt import Prompt


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    """A stand-in whose faults are still off."""
    async with ComfyUIServer() as server:
        yield server


@pytest.fixture
async def worker(comfy: ComfyUIServer) -> AsyncIterator[ComfyUIWorker]:
    """A client of it."""
    async with working(comfy) as client:
        yield client


async def assert_works(worker: ComfyUIWorker, comfy: ComfyUIServer) -> None:
    """Run a prompt: its own picture comes, once, and the worker forgets it."""
    prompt, sink = prompt_of(picture_graph()), MemorySink()
    await worker.run(prompt, sink)
    assert {n: prompt_id_of(data) for n, data in sink.files.items()} == {1: prompt.prompt_id}
    assert comfy.run_count(prompt.prompt_id) == 1
    await eventually(lambda: prompt.prompt_id not in comfy.queue.history)


_HARMLESS: list[dict[str, Any]] = [
    {"history_delay_ms": 300.0},
    {"freeze_ms": 250.0, "freeze_every_seconds": 0.0},
    {"stall_sockets": True},
    {"drop_messages": ["*"]},
    {"drop_messages": ["executing"]},
    {"drop_messages": ["execution_success", "execution_error"]},
    {"drop_messages": ["execution_start", "progress_state", "executed", "status"]},
    {"duplicate_messages": True},
    {"unknown_messages": True},
    {"run_fault": "nan"},
    {"cache": "none"},
    {"metadata": False},
    {"http_faults": {"ws": "error"}},
    {"http_faults": {"ws": "hang"}},
    {"http_faults": {"ws": "nonsense"}},
    {"http_faults": {"ws": "cut"}},
]


@pytest.mark.parametrize("switches", _HARMLESS, ids=str)
async def test_jobs_survive(
    comfy: ComfyUIServer, worker: ComfyUIWorker, switches: dict[str, Any]
) -> None:
    """A fault that loses no work costs time at most."""
    for name, value in switches.items():
        comfy.switches.set(name, value)
    for _ in range(2):
        await assert_works(worker, comfy)


@pytest.mark.parametrize("fault", list(HttpFault))
@pytest.mark.parametrize("route", ["POST prompt", "queue", "GET history", "view"])
async def test_lost_answers_are_survived(
    comfy: ComfyUIServer, worker: ComfyUIWorker, route: str, fault: HttpFault
) -> None:
    """Any single call may fail, whether its work was done or not: the prompt runs once."""
    comfy.switches.default_node_seconds = 0.1
    comfy.next_answers[route].append(fault)
    await assert_works(worker, comfy)


async def test_prompt_that_is_queued_despite_an_error_is_not_posted_again(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """After a 500 the queue is asked first."""
    comfy.next_answers["POST prompt"].append(HttpFault.ERROR_AFTER)
    await assert_works(worker, comfy)
    assert sum(each.method == "POST" and each.path == "/prompt" for each in comfy.requests) == 1


_NODE_FAULTS: list[tuple[RunFault, type[ComfyUIError]]] = [
    (RunFault.FAIL, NodeFailedError),
    (RunFault.STALE_SUCCESS, NodeFailedError),
    (RunFault.OUT_OF_MEMORY, WorkerOutOfMemoryError),
    (RunFault.INTERRUPTED, PromptInterruptedError),
    (RunFault.NO_OUTPUTS, OutputMissingError),
    (RunFault.BLOCKED, OutputBlockedError),
    (RunFault.VANISH, PromptLostError),
    (RunFault.FILE_GONE, OutputUnreadableError),
]


@pytest.mark.parametrize("messages", [[], ["*"]], ids=["heard", "deaf"])
@pytest.mark.parametrize(("fault", "error"), _NODE_FAULTS)
async def test_bad_ends_are_told_apart(
    comfy: ComfyUIServer,
    worker: ComfyUIWorker,
    fault: RunFault,
    error: type[ComfyUIError],
    messages: list[str],
) -> None:
    """Each bad end has its name, whether or not the socket tells; the next prompt works."""
    comfy.switches.set("drop_messages", messages)
    comfy.next_runs.append(fault)
    expected = OutputMissingError if messages and error is OutputBlockedError else error
    with pytest.raises(expected) as caught:
        await worker.run(prompt_of(picture_graph()), MemorySink())
    assert caught.value.worth_retrying is issubclass(error, WorkerFaultError)
    await eventually(lambda: not comfy.queue.history)
    await assert_works(worker, comfy)


async def test_failed_node_is_named_to_the_author(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """An author hears node, class and exception; a learner one sentence without any of it."""
    graph = picture_graph(ProbeFail={"kind": "nonascii", "tag": 1})
    with pytest.raises(NodeFailedError) as caught:
        await worker.run(prompt_of(graph), MemorySink())
    (fault,) = caught.value.faults
    assert (fault.node_id, fault.class_type) == ("10", "ProbeFail")
    assert "fehlgeschlagen: ü你好 😀" in caught.value.detail
    assert "fehlgeschlagen" not in caught.value.message
    assert "10" not in caught.value.message


async def test_wrong_choice_names_its_input(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """A choice of the newer form is found out only when the node runs; the input is named."""
    graph = {
        "1": node("EmptyImage", width=64, height=64, batch_size=2, color=1),
        "2": node("SaveWEBM", images=["1", 0], filename_prefix="x", codec="bogus", fps=8, crf=32),
    }
    with pytest.raises(NodeFailedError) as caught:
        await worker.run(prompt_of(graph), MemorySink())
    assert caught.value.faults[0].input_name == "codec"


async def test_refused_workflow_names_every_fault(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """What the worker refuses is told by node, class and input, and nothing is queued."""
    graph = picture_graph()
    graph["1"]["inputs"] |= {"width": 0, "height": 10**6}
    with pytest.raises(WorkflowInvalidError) as caught:
        await worker.run(prompt_of(graph), MemorySink())
    named = {(f.node_id, f.class_type, f.input_name) for f in caught.value.faults}
    assert named == {("1", "EmptyImage", "width"), ("1", "EmptyImage", "height")}
    assert isinstance(caught.value, JobFaultError)
    assert not comfy.runs


async def test_unknown_class_is_named(worker: ComfyUIWorker) -> None:
    """The worker tells an unknown class only in a sentence; the node is found in it."""
    graph = picture_graph() | {"7": node("NoSuchNode")}
    with pytest.raises(WorkflowInvalidError) as caught:
        await worker.run(prompt_of(graph), MemorySink())
    assert caught.value.faults[0].node_id == "7"
    assert "NoSuchNode" in caught.value.detail


async def test_partly_valid_workflow_is_a_failure(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """A 200 with node errors makes no half result: the prompt is taken back."""
    comfy.switches.default_node_seconds = 0.2
    graph = picture_graph() | {"3": node("SaveImage", filename_prefix="bad")}
    with pytest.raises(WorkflowPartlyInvalidError) as caught:
        await worker.run(prompt_of(graph), MemorySink())
    assert caught.value.faults[0].node_id == "3"
    await eventually(lambda: not comfy.queue.running and not comfy.queue.history)


async def test_too_large_prompt_is_the_jobs_fault(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """413 would be the answer everywhere."""
    comfy.switches.max_upload_bytes = 100
    with pytest.raises(PromptTooLargeError):
        await worker.run(prompt_of(picture_graph()), MemorySink())


async def _running(
    comfy: ComfyUIServer, worker: ComfyUIWorker, prompt: Prompt, sink: MemorySink | None = None
) -> asyncio.Task[Any]:
    """Start a prompt and wait until the stand-in runs it."""
    task = asyncio.create_task(worker.run(prompt, sink or MemorySink()))
    await eventually(lambda: comfy.run_count(prompt.prompt_id))
    return task


def _slow(seconds: float = 0.5) -> Prompt:
    ticks = {"tag": 1, "ticks": int(seconds * 50), "tick_ms": 20}
    return prompt_of(picture_graph(ProbeTick=ticks))


async def test_restart_of_the_worker_is_noticed(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """A prompt whose worker started anew is lost for the worker's sake, and the next one works."""
    task = await _running(comfy, worker, _slow(5.0))
    await comfy.restart()
    with pytest.raises(WorkerRestartedError):
        await task
    await assert_works(worker, comfy)


@pytest.mark.parametrize("fault", [RunFault.EXIT, RunFault.DIE])
async def test_exit_in_the_middle_is_the_workers_fault(
    comfy: ComfyUIServer, worker: ComfyUIWorker, fault: RunFault
) -> None:
    """Whether the process goes or only its worker thread, the job may go elsewhere."""
    comfy.next_runs.append(fault)
    deadlines = Deadlines(wait_seconds=5, load_seconds=0.2, run_seconds=0.3)
    with pytest.raises(WorkerFaultError) as caught:
        await worker.run(prompt_of(picture_graph(), deadlines=deadlines), MemorySink())
    if fault is RunFault.DIE:
        assert isinstance(caught.value, WorkerDeadError)
        assert caught.value.quarantine
        assert worker.trouble is not None
    else:
        assert isinstance(caught.value, WorkerUnreachableError)


async def test_trouble_is_over_with_the_next_success(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """A worker that was dead and works again after a restart is in order."""
    comfy.next_runs.append(RunFault.DEAF)
    deadlines = Deadlines(wait_seconds=5, load_seconds=0.2, run_seconds=0.3)
    with pytest.raises(WorkerDeadError):
        await worker.run(prompt_of(picture_graph(), deadlines=deadlines), MemorySink())
    await comfy.restart()
    await assert_works(worker, comfy)
    assert worker.trouble is None


async def test_worker_that_takes_nothing_is_busy(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """A prompt that never starts is taken out of the queue after its waiting time."""
    comfy.switches.pause = True
    deadlines = Deadlines(wait_seconds=0.3, load_seconds=5, run_seconds=5)
    with pytest.raises(WorkerBusyError):
        await worker.run(prompt_of(picture_graph(), deadlines=deadlines), MemorySink())
    assert not comfy.queue.pending


async def test_cleared_history_is_a_loss(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """A prompt that others deleted while it waited is lost, not done."""
    comfy.switches.pause = True
    prompt = prompt_of(picture_graph())
    task = asyncio.create_task(worker.run(prompt, MemorySink()))
    await eventually(lambda: comfy.queue.pending)
    comfy.forget_prompt(prompt.prompt_id)
    with pytest.raises(PromptLostError) as caught:
        await task
    assert caught.value.reason == "PROMPT_LOST"


async def test_unknown_prompt_cannot_be_taken_over(worker: ComfyUIWorker) -> None:
    """After a restart of the worker there is nothing to take over."""
    with pytest.raises(WorkerRestartedError):
        await worker.resume(prompt_of(picture_graph()), MemorySink())


async def test_absent_worker_is_told_at_once() -> None:
    """Where nobody listens, nothing is waited for and nothing was given away."""
    async with working(f"http://127.0.0.1:{free_port()}", socket_seconds=0.05) as worker:
        with pytest.raises(WorkerUnreachableError):
            await worker.run(prompt_of(picture_graph()), MemorySink())
        assert not worker.unfinished


async def test_something_else_behind_the_address_is_refused(comfy: ComfyUIServer) -> None:
    """A server without the routes is no worker, and should get no more work."""
    async with working(f"{comfy.url}/elsewhere", socket_seconds=0.05) as worker:
        with pytest.raises(WorkerRefusedError) as caught:
            await worker.run(prompt_of(picture_graph()), MemorySink())
        assert caught.value.quarantine


async def test_routes_below_a_path_are_found(comfy: ComfyUIServer) -> None:
    """An address may have a path, as behind a proxy."""
    async with working(f"{comfy.url}/api") as worker:
        await assert_works(worker, comfy)
        assert worker.is_connected


@pytest.mark.parametrize("how", ["cut", "deafen"])
async def test_broken_socket_costs_no_job(
    comfy: ComfyUIServer, worker: ComfyUIWorker, how: str
) -> None:
    """A socket that breaks or goes deaf in the middle delays nothing but progress."""
    prompt, sink = _slow(), MemorySink()
    task = await _running(comfy, worker, prompt, sink)
    if how == "cut":
        comfy.cut_sockets()
    else:
        comfy.forget_client(comfy.connected_clients[0])
    await task
    assert prompt_id_of(sink.files[1]) == prompt.prompt_id
    await assert_works(worker, comfy)


async def test_deaf_socket_is_replaced(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """A post after which the queue does not stir shows that nobody listens."""
    await assert_works(worker, comfy)
    deaf = comfy.connected_clients[0]
    comfy.forget_client(deaf)
    await assert_works(worker, comfy)
    await eventually(lambda: comfy.connected_clients and deaf not in comfy.connected_clients)
    await assert_works(worker, comfy)


async def test_lost_cached_file_makes_the_worker_forget_its_cache(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """A cached result whose file is gone fails once; the next attempt really runs."""
    graph = sampler_graph(1)
    graph["9"] = node("PreviewImage", images=["8", 0])
    await worker.run(prompt_of(graph, "9"), MemorySink())
    for file in comfy.runs[-1].files:
        (comfy.folders.base / file["type"] / file["subfolder"] / file["filename"]).unlink()
    with pytest.raises(OutputUnreadableError):
        await worker.run(prompt_of(graph, "9"), MemorySink())
    await eventually(lambda: any(each.path == "/free" for each in comfy.requests))
    result = await worker.run(prompt_of(graph, "9"), MemorySink())
    assert not result.outputs_reused

"""Cancelling a prompt in every state, and everything at random: nothing is left on the worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from generation_service.backends.comfyui.errors import (
    ComfyUIError,
    WorkerDeadError,
    WorkerFaultError,
)
from generation_service.backends.comfyui.prompt import Deadlines
from tests.fakes.comfyui import ComfyUIServer, HttpFault, RandomFaults, prompt_id_of
from tests.integration.comfyui import MemorySink, picture_graph, prompt_of, working
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from generation_service.backends.comfyui.client import ComfyUIWorker
    from generation_service.backends.comfyui.prompt import Prompt, PromptResult


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    """A stand-in."""
    async with ComfyUIServer() as server:
        yield server


@pytest.fixture
async def worker(comfy: ComfyUIServer) -> AsyncIterator[ComfyUIWorker]:
    """A client of it."""
    async with working(comfy) as client:
        yield client


def slow(seconds: float = 10.0) -> Prompt:
    """Make a prompt that can be interrupted every 20 ms."""
    ticks = {"tag": 1, "ticks": int(seconds * 50), "tick_ms": 20}
    return prompt_of(picture_graph(ProbeTick=ticks))


def begin(worker: ComfyUIWorker, prompt: Prompt) -> asyncio.Task[PromptResult]:
    """Start a prompt."""
    return asyncio.create_task(worker.run(prompt, MemorySink()))


async def assert_cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and see it end as cancelled."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def assert_clean(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """Nothing waits, nothing runs, nothing is remembered."""
    await eventually(lambda: not comfy.queue.pending)
    await eventually(lambda: not comfy.queue.running)
    await eventually(lambda: not comfy.queue.history)
    await eventually(lambda: not worker.unfinished)


async def test_cancel_while_it_waits(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """A waiting prompt is taken out of the queue and never runs."""
    comfy.switches.pause = True
    task = begin(worker, slow())
    await eventually(lambda: comfy.queue.pending)
    await assert_cancelled(task)
    assert not comfy.queue.pending
    assert not comfy.runs


async def test_cancel_while_it_runs(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """A running prompt is interrupted; when the cancelled call returns, it has ended."""
    task = begin(worker, slow())
    await eventually(lambda: comfy.runs)
    await assert_cancelled(task)
    assert comfy.runs[-1].outcome == "execution_interrupted"
    await assert_clean(comfy, worker)


async def test_lost_interrupts_are_repeated(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """An interrupt that is answered and forgotten is sent again until the prompt has ended."""
    comfy.switches.interrupt_lost = True
    task = begin(worker, slow())
    await eventually(lambda: comfy.runs)
    task.cancel()
    sent = [0]

    def interrupts() -> int:
        sent[0] = sum(each.path == "/interrupt" for each in comfy.requests)
        return sent[0]

    await eventually(lambda: interrupts() >= 3)
    comfy.switches.interrupt_lost = False
    with pytest.raises(asyncio.CancelledError):
        await task
    assert comfy.runs[-1].outcome == "execution_interrupted"


async def test_late_interrupt_leaves_nothing(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """In its last node a prompt succeeds in spite of the interrupt, and is forgotten too."""
    comfy.switches.node_seconds = {"SaveImage": 0.3}
    task = begin(worker, prompt_of(picture_graph()))
    await eventually(lambda: comfy.runs and comfy.runs[-1].executed == ["1"])
    await assert_cancelled(task)
    assert comfy.runs[-1].outcome == "execution_success"
    await assert_clean(comfy, worker)


@pytest.mark.parametrize("fault", [HttpFault.HANG_AFTER, HttpFault.HANG, HttpFault.CUT_AFTER])
async def test_cancel_while_it_is_posted(
    comfy: ComfyUIServer, worker: ComfyUIWorker, fault: HttpFault
) -> None:
    """A post that nobody waits for any more is looked after, and what it queued is ended."""
    comfy.switches.default_node_seconds = 0.3
    comfy.next_answers["POST prompt"].append(fault)
    task = begin(worker, slow())
    await eventually(lambda: not comfy.next_answers["POST prompt"])
    await assert_cancelled(task)
    await assert_clean(comfy, worker)
    assert "execution_success" not in {run.outcome for run in comfy.runs}


async def test_cancel_while_files_are_fetched(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """A finished prompt whose files nobody wants any more is forgotten."""
    comfy.switches.set("http_faults", {"view": "hang"})
    task = begin(worker, prompt_of(picture_graph()))
    await eventually(lambda: comfy.queue.history)
    await assert_cancelled(task)
    await assert_clean(comfy, worker)


async def test_cancel_before_the_socket_is_open(comfy: ComfyUIServer) -> None:
    """A prompt that was never posted leaves nothing, and asks for nothing."""
    comfy.switches.set("http_faults", {"ws": "hang"})
    async with working(comfy, socket_seconds=30.0) as worker:
        task = begin(worker, slow())
        await asyncio.sleep(0)
        await assert_cancelled(task)
        assert not [each for each in comfy.requests if each.path != "/ws"]


async def test_impatient_cancel_leaves_the_rest_to_the_background(
    comfy: ComfyUIServer, worker: ComfyUIWorker
) -> None:
    """A second cancel returns at once; the worker counts as unfinished until it has ended."""
    comfy.switches.interrupt_lost = True
    task = begin(worker, slow())
    await eventually(lambda: comfy.runs)
    task.cancel()
    await eventually(lambda: any(each.path == "/interrupt" for each in comfy.requests))
    await assert_cancelled(task)
    assert worker.unfinished
    comfy.switches.interrupt_lost = False
    await assert_clean(comfy, worker)


async def test_cancel_of_a_dead_worker_ends(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """A cancel returns although the prompt cannot be ended, and the worker is in trouble."""
    comfy.switches.dead_worker = True
    task = begin(worker, slow())
    await eventually(lambda: comfy.runs)
    await assert_cancelled(task)
    assert isinstance(worker.trouble, WorkerDeadError)


async def test_prompt_of_a_vanished_worker_is_ended_when_it_is_back(
    comfy: ComfyUIServer,
) -> None:
    """A worker that was away too long is given up; what runs there on is ended later."""
    async with working(comfy, unreachable_seconds=0.2) as worker:
        task = begin(worker, slow())
        await eventually(lambda: comfy.runs)
        routes = ("queue", "history", "interrupt", "ws")
        comfy.switches.set("http_faults", dict.fromkeys(routes, "cut"))
        comfy.cut_sockets()
        with pytest.raises(WorkerFaultError):
            await task
        assert worker.unfinished
        comfy.switches.set("http_faults", {})
        await assert_clean(comfy, worker)
        assert comfy.runs[-1].outcome == "execution_interrupted"


async def test_cancel_hits_no_neighbour(comfy: ComfyUIServer, worker: ComfyUIWorker) -> None:
    """Cancelling one's own waiting prompt leaves the running one of somebody else alone."""
    async with working(comfy) as other:
        neighbour = begin(other, slow(0.4))
        await eventually(lambda: comfy.runs)
        mine = begin(worker, slow())
        await eventually(lambda: comfy.queue.pending)
        await assert_cancelled(mine)
        await neighbour
    assert len(comfy.runs) == 1


@pytest.mark.drill
@pytest.mark.parametrize("seed", range(4))
async def test_everything_at_random(comfy: ComfyUIServer, seed: int) -> None:
    """Under all faults at random every job ends, each file is its own prompt's, nothing stays."""
    comfy.switches.default_node_seconds = 0.02
    faults = RandomFaults(comfy, seed, longest_seconds=0.1)
    deadlines = Deadlines(wait_seconds=3.0, load_seconds=0.5, run_seconds=1.0)
    done = 0
    async with working(comfy, unreachable_seconds=1.0) as worker:
        async with faults.flipping():
            for _ in range(15):
                prompt, sink = prompt_of(picture_graph(), deadlines=deadlines), MemorySink()
                try:
                    async with asyncio.timeout(20):
                        await worker.run(prompt, sink)
                except ComfyUIError:
                    continue
                done += 1
                assert prompt_id_of(sink.files[1]) == prompt.prompt_id, faults.log
        await comfy.restart()
        sink = MemorySink()
        await worker.run(prompt_of(picture_graph()), sink)
        await assert_clean(comfy, worker)
    assert done, faults.log

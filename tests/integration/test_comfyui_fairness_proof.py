"""A room of thirty before four workers: whatever one child submits, the others get their turn."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.fakes.comfyui import ComfyUIServer, prompt_id_of
from tests.integration.comfyui_jobs import ADMIN, comfy_order, media_factory
from tests.integration.generation import acting
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.generation import Stub

WORKERS = 4
GREEDY = "greedy"
OTHERS = [f"child{n}" for n in range(29)]
MANY = 200


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[Stub]:
    """A service before four workers that need a little time for each picture."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(ComfyUIServer()) for _ in range(WORKERS)]
        for server in servers:
            server.switches.node_seconds = {"EmptyImage": 0.005}
        urls = [server.url for server in servers]
        yield await stack.enter_async_context(
            media_factory(tmp_path, urls, session_queue_limit=MANY)
        )


async def starts(stub: Stub, orders: list[str]) -> list[str]:
    """Submit a job for each session named, let all wait, then begin.

    Returns:
        The sessions in the order in which their jobs started.
    """
    await stub.PauseQueue(pb.PauseQueueRequest(), metadata=ADMIN)
    started: list[str] = []

    async def follow(number: int, session: str) -> None:
        call = stub.GenerateMedia(comfy_order(number), metadata=acting(session))
        async for event in call:
            if event.WhichOneof("event") == "started":
                started.append(session)
        assert event.finished.state == pb.JOB_STATE_DONE, event.finished

    async def all_wait() -> bool:
        status = await stub.GetQueue(pb.GetQueueRequest(), metadata=ADMIN)
        return status.queue.waiting_count == len(orders)

    async with asyncio.TaskGroup() as group:
        for number, session in enumerate(orders):
            group.create_task(follow(number, session))
        await eventually(all_wait, within_seconds=30)
        await stub.ResumeQueue(pb.ResumeQueueRequest(), metadata=ADMIN)
    return started


async def test_the_others_wait_as_if_the_greedy_one_had_submitted_one(stub: Stub) -> None:
    """200 jobs of one session come first, and hold up each other session by one turn only."""
    order = await starts(stub, [GREEDY] * MANY + OTHERS)
    last = max(order.index(child) for child in OTHERS)
    # Thirty sessions have a turn each; events of neighbours on other workers may swap places.
    assert last < len(OTHERS) + 1 + WORKERS
    assert order[:last].count(GREEDY) <= 1 + WORKERS // 2


async def test_shares_are_equal_within_twenty_percent(stub: Stub) -> None:
    """While all thirty have work waiting, nobody gets more than the others."""
    each = 6
    order = await starts(stub, [GREEDY] * MANY + OTHERS * each)
    turns = 5
    shares = Counter(order[: turns * (len(OTHERS) + 1)])
    assert set(shares) == {GREEDY, *OTHERS}
    assert turns * 0.8 <= min(shares.values()) <= max(shares.values()) <= turns * 1.2


async def test_a_drain_under_load_loses_nothing(tmp_path: Path) -> None:
    """Workers go one after the other while sixty jobs wait; each job is done once, rightly."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(ComfyUIServer()) for _ in range(WORKERS)]
        for server in servers:
            server.switches.node_seconds = {"EmptyImage": 0.02}
        urls = [server.url for server in servers]
        stub = await stack.enter_async_context(media_factory(tmp_path, urls))

        async def finish(number: int) -> str:
            call = stub.GenerateMedia(comfy_order(number), metadata=acting(f"s{number}"))
            events = [event async for event in call]
            end = events[-1].finished
            assert end.state == pb.JOB_STATE_DONE, end
            content = await asyncio.to_thread((tmp_path / events[-2].output.media.uri).read_bytes)
            assert prompt_id_of(content) == end.backend_job_id
            return end.backend_job_id

        jobs = [asyncio.create_task(finish(number)) for number in range(60)]
        names = [
            worker.name
            for worker in (await stub.ListWorkers(pb.ListWorkersRequest(), metadata=ADMIN)).workers
            if worker.address
        ]
        for done, name in zip((10, 20, 30), names, strict=False):
            await eventually(lambda done=done: sum(j.done() for j in jobs) >= done)  # type: ignore[misc]
            if done == 20:
                await stub.RemoveWorker(
                    pb.RemoveWorkerRequest(name=name, force=True), metadata=ADMIN
                )
            else:
                await stub.DrainWorker(pb.DrainWorkerRequest(name=name), metadata=ADMIN)
        made = await asyncio.gather(*jobs)
        assert len(set(made)) == 60
        ended = [
            run.prompt_id
            for server in servers
            for run in server.runs
            if run.outcome == "execution_success"
        ]
        assert all(ended.count(prompt_id) == 1 for prompt_id in made)

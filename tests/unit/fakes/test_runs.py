"""Each way in which a run of the stand-in can go wrong, be interrupted, or never end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.comfyui import ComfyUIServer, RunFault
from tests.support import eventually
from tests.unit.fakes.bare_client import BareClient, end_of, picture, slow_picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    """A stand-in without faults."""
    async with ComfyUIServer() as server:
        yield server


@pytest.fixture
async def client(comfy: ComfyUIServer) -> AsyncIterator[BareClient]:
    """A client with a socket."""
    async with BareClient(comfy.url, listens=True) as each:
        yield each


ENDS = {
    RunFault.FAIL: "execution_error",
    RunFault.OUT_OF_MEMORY: "execution_error",
    RunFault.INTERRUPTED: "execution_interrupted",
    RunFault.NO_OUTPUTS: "execution_success",
    RunFault.BLOCKED: "execution_success",
    RunFault.STALE_SUCCESS: "execution_error",
    RunFault.NAN: "execution_success",
    RunFault.FILE_GONE: "execution_success",
}


@pytest.mark.parametrize("fault", ENDS)
async def test_run_ends_as_its_fault_says(
    comfy: ComfyUIServer, client: BareClient, fault: RunFault
) -> None:
    """One run goes wrong in the way that was asked for, the next one well."""
    comfy.next_runs.append(fault)
    entry = await client.run(picture())

    assert end_of(entry) == ENDS[fault]
    is_success = entry["status"]["status_str"] == "success"
    assert is_success is (end_of(entry) == "execution_success" or fault is RunFault.STALE_SUCCESS)
    has_outputs = fault in (RunFault.NAN, RunFault.FILE_GONE)
    assert bool(entry["outputs"]) is has_outputs
    if fault is RunFault.FILE_GONE:
        (file,) = entry["outputs"]["2"]["images"]
        async with client.session.get("/view", params=file) as response:
            assert response.status == 404
    assert end_of(await client.run(picture())) == "execution_success"


async def test_blocked_output_sends_an_error_without_timestamp(
    comfy: ComfyUIServer, client: BareClient
) -> None:
    """An ExecutionBlocker's error is followed by a success."""
    comfy.next_runs.append(RunFault.BLOCKED)
    await client.post(picture())
    kinds = await client.hear_until("executing", node=None)

    assert kinds.index("execution_error") < kinds.index("execution_success")
    (error,) = [each for each in client.messages if each["type"] == "execution_error"]
    assert "timestamp" not in error["data"]


async def test_nan_is_written_bare(comfy: ComfyUIServer, client: BareClient) -> None:
    """History holds what strict JSON parsers refuse."""
    comfy.next_runs.append(RunFault.NAN)
    entry = await client.run(picture())
    async with client.session.get(f"/history/{entry['prompt'][1]}") as response:
        assert b"[NaN, Infinity]" in await response.read()


async def test_hanging_node_ends_by_interrupt(comfy: ComfyUIServer, client: BareClient) -> None:
    """A hanging run is ended by an interrupt of its own id, not of another."""
    comfy.next_runs.append(RunFault.HANG)
    prompt_id = (await client.post(picture()))["prompt_id"]
    await client.hear_until("executing", node="2")

    assert await client.status_of("POST", "/interrupt", json={"prompt_id": "another"}) == 200
    assert comfy.queue.running is not None
    await client.status_of("POST", "/interrupt", json={"prompt_id": prompt_id})
    entry = await client.ended(prompt_id)
    assert end_of(entry) == "execution_interrupted"
    assert entry["status"]["status_str"] == "error"


async def test_lost_interrupt_changes_nothing(comfy: ComfyUIServer, client: BareClient) -> None:
    """A lost interrupt is answered with 200, and the run succeeds."""
    comfy.switches.interrupt_lost = True
    prompt_id = (await client.post(slow_picture()))["prompt_id"]
    await client.hear_until("progress")
    await client.status_of("POST", "/interrupt", json={"prompt_id": prompt_id})
    assert end_of(await client.ended(prompt_id)) == "execution_success"


async def test_late_interrupt_is_blamed_on_the_next_node(
    comfy: ComfyUIServer, client: BareClient
) -> None:
    """A node that does not look at the flag runs to its end; the next one is interrupted."""
    comfy.switches.interrupt_late = True
    prompt_id = (await client.post(slow_picture(ticks=5)))["prompt_id"]
    await client.hear_until("progress")
    await client.status_of("POST", "/interrupt", json={"prompt_id": prompt_id})
    entry = await client.ended(prompt_id)
    kind, data = entry["status"]["messages"][-1]
    assert (kind, data["node_id"]) == ("execution_interrupted", "2")


async def test_interrupt_can_hit_the_next_prompt(comfy: ComfyUIServer, client: BareClient) -> None:
    """With the flag not cleared, a prompt that nobody interrupted is interrupted."""
    comfy.switches.interrupt_hits_next = True
    await client.status_of("POST", "/interrupt")
    assert end_of(await client.run(picture())) == "execution_interrupted"


async def test_dead_worker_accepts_and_never_runs(comfy: ComfyUIServer, client: BareClient) -> None:
    """HTTP goes on, the first prompt runs for ever, later ones wait; a restart helps."""
    comfy.switches.dead_worker = True
    first = (await client.post(picture()))["prompt_id"]
    second = (await client.post(picture()))["prompt_id"]
    await eventually(lambda: not comfy.is_worker_alive)

    await client.status_of("POST", "/interrupt")
    queue = await client.get("/queue")
    assert [item[1] for item in queue["queue_running"]] == [first]
    assert [item[1] for item in queue["queue_pending"]] == [second]
    comfy.switches.dead_worker = False
    await comfy.restart()
    assert await client.get("/queue") == {"queue_running": [], "queue_pending": []}


async def test_node_without_inputs_kills_the_worker(
    comfy: ComfyUIServer, client: BareClient
) -> None:
    """Even an unconnected one does."""
    answer = await client.post(picture() | {"9": {"class_type": "EmptyImage"}})
    assert answer["node_errors"] == {}
    await eventually(lambda: not comfy.is_worker_alive)

"""ComfyUI workers behind a whole deployment: nobody's picture mixed up, whatever dies."""

from __future__ import annotations

import asyncio
import io
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from PIL import Image

from stellwerk.generation.v1.generation_service_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_DONE,
    JOB_STATE_QUEUED,
    JOB_STATE_RUNNING,
)
from stellwerk.tracker.v1.execution_pb2 import EXECUTION_STATE_COMPLETED
from tests.e2e.comfyui_room import SMALL, Room, finish, idea, own_prompt_id, room
from tests.e2e.deployment import items_of
from tests.e2e.records import record_of
from tests.fakes.comfyui import prompt_id_of
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stellwerk.generation.v1.generation_service_pb2 import Job, JobState


pytestmark = pytest.mark.asyncio(loop_scope="module")

SUCCESS = "execution_success"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_room(
    tmp_path_factory: pytest.TempPathFactory, local_models: dict[str, str]
) -> AsyncIterator[Room]:
    """One room for all tests of this module."""
    async with room(tmp_path_factory.mktemp("comfyui"), local_models) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def here(open_room: Room) -> Room:
    """The room with all workers ready and idle."""
    await open_room.set_all(pause=False, run_fault=None, node_seconds={})
    await open_room.all_ready()
    await open_room.all_idle()
    return open_room


async def run_in_room(here: Room, name: str, **parameters: Any) -> tuple[dict[str, Any], str]:
    """Run one person's idea; returns the record and the id of the prompt of its picture."""
    async with here.client(name) as client:
        last = await finish(client, idea(**SMALL, **parameters))
        assert last.state_changed.state == EXECUTION_STATE_COMPLETED, last
        record = await record_of(client, last.execution_id)
        return record, await own_prompt_id(client, record)


async def test_the_workers_address_is_all_that_is_needed(here: Room) -> None:
    """The command delivers a picture of the size that was asked for."""
    command = ("run", "A red kite", "--config", "passthrough", "--output", "empty_image")
    size = ("--param", "width=72", "--param", "height=64")
    out = str(here.deployment.data.parent / "out")
    result = await asyncio.to_thread(
        here.deployment.command, *command, *size, "--json", "--out", out
    )
    assert result.code == 0, result.err
    (saved,) = [line for line in result.lines if line["event"] == "output_saved"]
    content = await asyncio.to_thread(Path(saved["path"]).read_bytes)
    assert Image.open(io.BytesIO(content)).size == (72, 64)
    (item,) = [each for each in result.items if each["item_type"] == "output_image"]
    assert prompt_id_of(content) == item["backend_job_id"]


async def test_thirty_at_once_get_each_their_own_picture(here: Room) -> None:
    """Same words, same size, three workers: each record's picture is of its own prompt, once."""
    before = len(here.runs)
    made = await asyncio.gather(*(run_in_room(here, f"s{n}") for n in range(30)))
    prompt_ids = [prompt_id for _, prompt_id in made]
    assert len(set(prompt_ids)) == 30
    assert len({record["execution_id"] for record, _ in made}) == 30
    for number, (record, _) in enumerate(made):
        assert record["user_id"] == f"user-s{number}"
    ran = here.runs[:]
    assert len(ran) - before == 30
    ran_ids = [run.prompt_id for run in ran]
    assert all(ran_ids.count(prompt_id) == 1 for prompt_id in prompt_ids)
    assert all(worker.runs for worker in here.workers)


async def test_a_worker_killed_in_mid_job_is_nobodys_loss(here: Room) -> None:
    """The job is finished on another worker, once."""
    await here.set_all(node_seconds={"EmptyImage": 1.0})
    known = {run.prompt_id for run in here.runs}
    running = asyncio.create_task(run_in_room(here, "patient", color=1001))

    def busy() -> int | None:
        runs = {n: worker.runs for n, worker in enumerate(here.workers)}
        return next(
            (n + 1 for n, each in runs.items() if any(r.prompt_id not in known for r in each)), None
        )

    victim = here.workers[(await eventually(busy) or 1) - 1]
    await victim.kill()
    try:
        record, prompt_id = await running
    finally:
        await victim.start()
    new = [run for run in here.runs if run.prompt_id not in known]
    assert [run.prompt_id for run in new if run.outcome == SUCCESS] == [prompt_id]
    (job,) = await here.jobs(record["execution_id"])
    assert job.attempt == 2


@pytest.mark.timeout(300)
async def test_a_killed_service_leaves_nothing_running(here: Room) -> None:
    """SIGKILL with 20 queued and 4 running: after the restart all end, each with its own."""
    deployment = here.deployment
    before = {job.job_id for job in await here.jobs()}

    async def new_jobs(*states: JobState.ValueType) -> list[Job]:
        listed = await here.jobs()
        return [job for job in listed if job.job_id not in before and job.state in states]

    async def crowded() -> bool:
        states = [job.state for job in await new_jobs(JOB_STATE_QUEUED, JOB_STATE_RUNNING)]
        return (states.count(JOB_STATE_QUEUED), states.count(JOB_STATE_RUNNING)) == (20, 4)

    async with here.with_spare():
        await here.set_all(pause=True)
        old_pid = deployment.pid("generation")
        runs = [asyncio.create_task(run_to_any_end(here, f"k{n}")) for n in range(24)]
        await eventually(crowded, within_seconds=60)
        deployment.signal("generation", signal.SIGKILL)
        await eventually(lambda: deployment.pid("generation") != old_pid, within_seconds=60)
        await here.set_all(pause=False)
        records = await asyncio.gather(*runs)
        ends = {(record["status"], record.get("error")) for record in records}
        assert ends == {("completed", None)}
        await here.all_ready(4)
    await eventually(
        lambda: has_none(new_jobs(JOB_STATE_QUEUED, JOB_STATE_RUNNING)), within_seconds=60
    )
    done = await new_jobs(JOB_STATE_DONE)
    assert len(done) == 24
    ran = [run.prompt_id for run in here.runs]
    for job in done:
        assert ran.count(job.finished.backend_job_id) == 1
        (output,) = job.outputs
        content = await asyncio.to_thread((deployment.data / output.media.uri).read_bytes)
        assert prompt_id_of(content) == job.finished.backend_job_id
    await here.all_idle()


async def run_to_any_end(here: Room, name: str) -> dict[str, Any]:
    """Run an idea whose service may die; returns its record."""
    async with here.client(name) as client:
        last = await finish(client, idea(**SMALL))
        return await record_of(client, last.execution_id)


async def has_none(listed: Any) -> bool:
    """Whether a list, once it is there, is empty."""
    return not await listed


async def command(here: Room, *arguments: str) -> list[dict[str, Any]]:
    """Run a command and return its JSON lines."""
    result = await asyncio.to_thread(here.deployment.command, *arguments, "--json")
    assert result.code == 0, result.err
    return result.lines


async def test_a_job_is_cancelled_before_any_worker_has_it(here: Room) -> None:
    """While the queue is paused a cancelled run never reaches a worker."""
    before = len(here.runs)
    (status,) = await command(here, "jobs", "pause")
    assert status["paused"]
    try:
        ended = await cancelled_when(here, JOB_STATE_QUEUED, "early")
    finally:
        (status,) = await command(here, "jobs", "resume")
    assert "paused" not in status
    assert ended["status"] == "cancelled"
    assert len(here.runs) == before


async def test_a_prompt_that_waits_at_its_worker_is_taken_back(here: Room) -> None:
    """A cancelled run is deleted from the worker's own queue."""
    before = len(here.runs)
    await here.set_all(pause=True)
    ended = await cancelled_when(here, JOB_STATE_RUNNING, "waiting")
    await here.all_idle()
    assert ended["status"] == "cancelled"
    await here.set_all(pause=False)
    await run_in_room(here, "next")
    assert len(here.runs) == before + 1


async def test_a_running_prompt_is_interrupted(here: Room) -> None:
    """A cancelled run ends on its worker, too."""
    await here.set_all(run_fault="hang")
    before = len(here.runs)

    async def runs() -> bool:
        return len(here.runs) > before

    ended = await cancelled_when(here, JOB_STATE_RUNNING, "hanging", also=runs)
    assert ended["status"] == "cancelled"
    await eventually(
        lambda: [run for run in here.runs if run.outcome == "execution_interrupted"],
        within_seconds=60,
    )
    await here.all_idle()


async def cancelled_when(
    here: Room, state: JobState.ValueType, name: str, also: Any = None
) -> dict[str, Any]:
    """Cancel a run when its job is in a state; returns the record."""
    async with here.client(name) as client:
        events = client.run(idea(**SMALL))
        execution_id = (await anext(events)).execution_id
        ending = asyncio.create_task(rest_of(events))

        async def reached() -> bool:
            return [job.state for job in await here.jobs(execution_id)] == [state]

        await eventually(reached, within_seconds=60)
        if also is not None:
            await eventually(also)
        await client.cancel(execution_id)
        await ending
        (job,) = await here.jobs(execution_id)
        assert job.state == JOB_STATE_CANCELLED
        return await record_of(client, execution_id)


async def rest_of(events: Any) -> None:
    """Read to the end."""
    async for _ in events:
        pass


@pytest.mark.parametrize(
    ("output", "fault", "reason", "place"),
    [
        ("empty_image", "fail", "NODE_FAILED", "node save (SaveImage)"),
        ("empty_image", "blocked", "OUTPUT_BLOCKED", "node save (SaveImage)"),
        ("empty_image", "no_outputs", "OUTPUT_MISSING", "node save (SaveImage)"),
        ("too_narrow", None, "WORKER_LACKS", "node picture (EmptyImage), input 'width'"),
        ("odd_scale", None, "WORKER_LACKS", "node scale (ImageScale), input 'upscale_method'"),
        ("sd15", None, "WORKER_LACKS", "CheckpointLoaderSimple), input 'ckpt_name'"),
    ],
)
async def test_faults_of_a_workflow_reach_learner_and_author(
    here: Room, output: str, fault: str | None, reason: str, place: str
) -> None:
    """The learner gets one sentence without a word of ComfyUI, the author node, class and input."""
    await here.set_all(run_fault=fault)
    async with here.client("author") as client:
        failures = []
        async for event in client.run(idea(output)):
            if event.HasField("work_failed") and event.work_failed.loop_iteration:
                failures.append(event.work_failed)
        record = await record_of(client, event.execution_id)
    (failure,) = failures
    assert failure.reason == reason
    assert failure.message.endswith(".")
    for word in ("node", "SaveImage", "EmptyImage", "ImageScale", "ckpt"):
        assert word not in failure.message
    assert record["status"] == "failed"
    (warning,) = [
        item for item in items_of(record, "warning") if item["metadata"]["reason"] == reason
    ]
    assert warning["metadata"]["message"] == failure.message
    assert place in str(warning["metadata"].get("details")), warning["metadata"]


async def test_workers_are_drained_and_jobs_shown_by_command(here: Room) -> None:
    """An operator sees workers and jobs, takes workers out and in again, and reads plain tables."""
    names = [each["name"] for each in await command(here, "workers", "list") if "address" in each]
    assert len(names) == 3
    for name in names[1:]:
        await command(here, "workers", "drain", name)
    record, _ = await run_in_room(here, "drained")
    (job,) = await command(here, "jobs", "list", "--execution", record["execution_id"])
    assert job["worker"] == names[0]
    for name in names[1:]:
        await command(here, "workers", "undrain", name)
    events = await command(here, "jobs", "watch", job["job_id"])
    assert (events[0]["event"], events[-1]["event"]) == ("queued", "finished")
    (shown,) = await command(here, "jobs", "show", job["job_id"])
    assert shown["finished"]["state"] == "done"
    tables = (
        here.deployment.command("workers", "list").out,
        here.deployment.command("jobs", "list", "--state", "done", "--limit", "1").out,
    )
    assert names[0] in tables[0]
    assert job["job_id"] in tables[1]
    assert "running" in here.deployment.command("jobs", "queue").out


async def test_wrong_names_are_told_as_everywhere(here: Room) -> None:
    """What is not there, and what is no address, ends with code 2 and one object on stderr."""
    for arguments, reason in (
        (("jobs", "show", "nothing"), "JOB_NOT_FOUND"),
        (("workers", "drain", "nobody"), "WORKER_NOT_FOUND"),
        (("workers", "add", "ftp://x"), "ADDRESS_INVALID"),
    ):
        result = await asyncio.to_thread(here.deployment.command, *arguments, "--json")
        assert (result.code, json.loads(result.err)["reason"]) == (2, reason)

"""Jobs for ComfyUI through the front door: a real server, stand-in workers, a real journal."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from servicekit.errors import Code
from servicekit.principals import Role
from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.fakes.comfyui import ComfyUIServer, RunFault, prompt_id_of
from tests.integration.comfyui_jobs import (
    ADMIN,
    comfy_order,
    graph,
    media_factory,
    workers_of,
    workflow,
)
from tests.integration.generation import acting, refused, run, upload
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.generation import Stub


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    """A stand-in ComfyUI server."""
    async with ComfyUIServer() as server:
        yield server


@pytest.fixture
async def stub(tmp_path: Path, comfy: ComfyUIServer) -> AsyncIterator[Stub]:
    """A client of a service before one stand-in."""
    async with media_factory(tmp_path, [comfy.url]) as stub:
        yield stub


async def test_a_picture_of_a_worker_is_stored_with_the_facts_of_its_run(
    stub: Stub, tmp_path: Path
) -> None:
    """The whole way of a ComfyUI job; the file has the size that was asked for."""
    events = await run(stub, comfy_order())
    kinds = [event.WhichOneof("event") for event in events]
    assert (kinds[0], kinds[-2:]) == ("queued", ["output", "finished"])
    end, output = events[-1].finished, events[-2].output
    assert end.state == pb.JOB_STATE_DONE, end
    assert not output.photographic  # neither a model nor an uploaded picture is behind it
    assert json.loads(end.parameters_json) == {"width": 72, "height": 64, "color": 1}
    assert (end.backend, end.model) == ("comfyui", "comfyui/empty_image")
    assert len(end.workflow_sha256) == 64
    assert end.backend_job_id
    assert not end.outputs_reused
    with Image.open(io.BytesIO((tmp_path / output.media.uri).read_bytes())) as picture:
        assert picture.size == (72, 64)


async def test_every_picture_is_its_own_prompts(tmp_path: Path) -> None:
    """Four workers, sixty sessions at once: each gets its own picture, none is made twice."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(ComfyUIServer()) for _ in range(4)]
        urls = [server.url for server in servers]
        stub = await stack.enter_async_context(media_factory(tmp_path, urls))

        async def check(number: int) -> str:
            events = await run(stub, comfy_order(number), session=f"s{number}")
            end, output = events[-1].finished, events[-2].output
            assert end.state == pb.JOB_STATE_DONE, end
            content = await asyncio.to_thread((tmp_path / output.media.uri).read_bytes)
            assert prompt_id_of(content) == end.backend_job_id
            assert json.loads(end.parameters_json)["color"] == number
            return end.backend_job_id

        made = await asyncio.gather(*(check(number) for number in range(60)))
        ran = [each.prompt_id for server in servers for each in server.runs]
        assert sorted(ran) == sorted(made)
        assert all(len(server.runs) >= 8 for server in servers)


async def test_a_worker_killed_in_mid_job_costs_an_attempt(tmp_path: Path) -> None:
    """The job is finished elsewhere, once."""
    async with ComfyUIServer() as one, ComfyUIServer() as two:
        for server in (one, two):
            server.switches.node_seconds = {"EmptyImage": 0.3}
        async with media_factory(tmp_path, [one.url, two.url]) as stub:
            attempts: list[pb.JobStarted] = []
            async for event in stub.GenerateMedia(comfy_order(), metadata=acting("s1")):
                if event.WhichOneof("event") == "started":
                    attempts.append(event.started)
                    if len(attempts) == 1:
                        dying = one if one.url.endswith(event.started.worker) else two
                        await eventually(lambda dying=dying: dying.runs)  # type: ignore[misc]
                        await dying.kill()
            assert event.finished.state == pb.JOB_STATE_DONE, event.finished
            assert [each.attempt for each in attempts] == [1, 2]
            assert attempts[0].worker != attempts[1].worker
            ends = [each.outcome for server in (one, two) for each in server.runs]
            assert ends.count("execution_success") == 1


async def test_a_running_job_is_cancelled_on_its_worker(stub: Stub, comfy: ComfyUIServer) -> None:
    """Nothing runs on for nobody."""
    comfy.next_runs.append(RunFault.HANG)
    events = aiter(stub.GenerateMedia(comfy_order(), metadata=acting("s1")))
    async for event in events:
        if event.WhichOneof("event") == "started":
            break
    await eventually(lambda: comfy.runs)
    request = pb.CancelJobRequest(job_id=event.job_id)
    answer = await stub.CancelJob(request, metadata=acting("s1"))
    assert answer.state == pb.JOB_STATE_CANCELLED
    await eventually(lambda: comfy.runs[0].outcome == "execution_interrupted")
    assert (await run(stub, comfy_order(2)))[-1].finished.state == pb.JOB_STATE_DONE


async def test_a_caller_who_leaves_ends_the_work(stub: Stub, comfy: ComfyUIServer) -> None:
    """The prompt is interrupted on the worker."""
    comfy.next_runs.append(RunFault.HANG)
    call = stub.GenerateMedia(comfy_order(), metadata=acting("s1"))
    await anext(aiter(call))
    await eventually(lambda: comfy.runs)
    call.cancel()
    await eventually(lambda: comfy.runs[0].outcome == "execution_interrupted")


async def test_a_detached_job_is_watched_later(stub: Stub, comfy: ComfyUIServer) -> None:
    """Who comes back reads on where they left off; a neighbour sees nothing."""
    comfy.switches.pause = True
    call = stub.GenerateMedia(comfy_order(detach=True), metadata=acting("s1"))
    first = await anext(aiter(call))
    call.cancel()
    watch = pb.WatchJobRequest(job_id=first.job_id, after_sequence=first.sequence_number)
    comfy.switches.pause = False
    watching = stub.WatchJob(watch, metadata=acting("s1"))
    events = [response.event async for response in watching]
    assert min(event.sequence_number for event in events) > first.sequence_number
    assert events[-1].finished.state == pb.JOB_STATE_DONE

    async def foreign() -> None:
        async for _ in stub.WatchJob(watch, metadata=acting("s2")):
            pass

    assert (await refused(foreign())).reason == "JOB_NOT_FOUND"


async def test_jobs_are_seen_by_their_session_and_prompts_by_their_owner(
    stub: Stub, comfy: ComfyUIServer
) -> None:
    """Learners list their own jobs; an admin sees all, without anybody's words."""
    comfy.switches.pause = True
    calls = [
        stub.GenerateMedia(comfy_order(n, prompt=f"secret {n}"), metadata=acting(f"s{n}"))
        for n in range(3)
    ]
    ids = [(await anext(aiter(call))).job_id for call in calls]
    own = await stub.ListJobs(pb.ListJobsRequest(), metadata=acting("s1"))
    assert [(job.job_id, job.prompt) for job in own.jobs] == [(ids[1], "secret 1")]
    everybody = await stub.ListJobs(pb.ListJobsRequest(page_size=2), metadata=ADMIN)
    assert [(job.job_id, job.prompt) for job in everybody.jobs] == [(ids[2], ""), (ids[1], "")]
    rest = pb.ListJobsRequest(page_size=2, page_token=everybody.next_page_token)
    assert [job.job_id for job in (await stub.ListJobs(rest, metadata=ADMIN)).jobs] == [ids[0]]
    foreign = stub.GetJob(pb.GetJobRequest(job_id=ids[2]), metadata=acting("s1"))
    assert (await refused(foreign)).reason == "JOB_NOT_FOUND"
    mine = await stub.GetJob(pb.GetJobRequest(job_id=ids[1]), metadata=acting("s1"))
    assert mine.job.execution_id == "e1"
    status = await stub.GetQueue(pb.GetQueueRequest(), metadata=acting("s1"))
    numbers = status.queue
    assert (numbers.waiting_count, numbers.running_count) == (2, 1)
    assert numbers.own_waiting_count + numbers.own_running_count == 1
    assert numbers.worker_count == 2
    for call in calls:
        call.cancel()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListJobsRequest(page_size=201), "page_size"),
        (pb.ListJobsRequest(page_token="no token"), "page_token"),
        (pb.ListJobsRequest(states=[pb.JOB_STATE_UNSPECIFIED]), "states"),
    ],
)
async def test_faulty_lists_are_refused(
    stub: Stub, request_: pb.ListJobsRequest, field: str
) -> None:
    """Each documented error names its field."""
    error = await refused(stub.ListJobs(request_, metadata=ADMIN))
    assert (error.code, error.field) == (Code.INVALID_ARGUMENT, field)


async def test_the_queue_is_paused_and_resumed(stub: Stub, comfy: ComfyUIServer) -> None:
    """While it is paused nothing begins."""
    paused = await stub.PauseQueue(pb.PauseQueueRequest(), metadata=ADMIN)
    assert paused.queue.paused
    running = asyncio.create_task(run(stub, comfy_order()))
    await eventually(lambda: waiting_count(stub, 1))
    assert not comfy.runs
    await stub.ResumeQueue(pb.ResumeQueueRequest(), metadata=ADMIN)
    assert (await running)[-1].finished.state == pb.JOB_STATE_DONE


async def waiting_count(stub: Stub, count: int) -> bool:
    """Whether so many jobs wait."""
    status = await stub.GetQueue(pb.GetQueueRequest(), metadata=ADMIN)
    return status.queue.waiting_count == count


async def test_workers_are_added_drained_and_removed_while_it_runs(
    stub: Stub, comfy: ComfyUIServer
) -> None:
    """The list of workers changes without a restart."""
    async with ComfyUIServer() as second:
        added = await stub.AddWorker(pb.AddWorkerRequest(address=second.url), metadata=ADMIN)
        name = added.worker.name
        first = next(
            worker.name
            for worker in (await workers_of(stub)).values()
            if worker.address == comfy.url
        )
        await stub.DrainWorker(pb.DrainWorkerRequest(name=first), metadata=ADMIN)
        events = await run(stub, comfy_order())
        (started,) = [e.started for e in events if e.WhichOneof("event") == "started"]
        assert started.worker == name
        drained = (await workers_of(stub))[first]
        assert drained.state == pb.WORKER_STATE_DRAINED
        await stub.UndrainWorker(pb.UndrainWorkerRequest(name=first), metadata=ADMIN)
        await stub.RemoveWorker(pb.RemoveWorkerRequest(name=name), metadata=ADMIN)
        assert name not in await workers_of(stub)
        assert (await run(stub, comfy_order(2)))[-1].finished.state == pb.JOB_STATE_DONE
        backends = await stub.ListBackends(pb.ListBackendsRequest(), metadata=ADMIN)
        ready = {each.name: each.ready_worker_count for each in backends.backends}
        assert (ready["embedded"], ready["comfyui"]) == (1, 1)
    bad = stub.AddWorker(pb.AddWorkerRequest(address="ftp://x"), metadata=ADMIN)
    assert (await refused(bad)).reason == "ADDRESS_INVALID"
    unknown = stub.RemoveWorker(pb.RemoveWorkerRequest(name="nobody"), metadata=ADMIN)
    assert (await refused(unknown)).reason == "WORKER_NOT_FOUND"
    fixed = stub.RemoveWorker(pb.RemoveWorkerRequest(name="embedded-1"), metadata=ADMIN)
    assert (await refused(fixed)).reason == "WORKER_FIXED"


async def test_phases_have_limits_of_their_own(stub: Stub, comfy: ComfyUIServer) -> None:
    """A workflow says how long it may run; what takes longer is ended and has expired."""
    comfy.next_runs.append(RunFault.HANG)
    limited = workflow()
    limited.run_limit_duration.FromMilliseconds(300)
    end = (await run(stub, comfy_order(workflow=limited)))[-1].finished
    assert (end.state, end.error_reason) == (pb.JOB_STATE_EXPIRED, "RUN_TIMED_OUT")
    assert comfy.runs[0].outcome == "execution_interrupted"


@pytest.mark.parametrize(
    ("nodes", "reason", "place"),
    [
        ({}, "WORKFLOW_INVALID", "There is no graph"),
        ({**graph(), "9": {"class_type": "Note"}}, "WORKFLOW_INVALID", "node 9 (Note)"),
        (
            {**graph(), "9": {"class_type": "ExecAnything", "inputs": {}}},
            "WORKFLOW_INVALID",
            "node 9 (ExecAnything): This node class is not allowed. Whoever runs the service may",
        ),
        (graph(width=["7", 0]), "WORKFLOW_INVALID", "node 1 (EmptyImage), input 'width'"),
    ],
)
async def test_a_faulty_workflow_is_refused_with_its_place(
    stub: Stub, nodes: dict[str, object], reason: str, place: str
) -> None:
    """One sentence for the learner; node, class and input for the author."""
    asked = workflow(graph())
    asked.graph_json = json.dumps(nodes).encode()
    error = await refused(run(stub, comfy_order(workflow=asked)))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, reason)
    assert place in str(error.violations)
    assert "author" in error.message or "not allowed" in error.message


async def test_what_no_worker_has_is_refused(stub: Stub) -> None:
    """A missing model is told before anybody waits."""
    nodes = {
        **graph(),
        "9": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "nowhere.ckpt"}},
        "10": {"class_type": "VAEDecode", "inputs": {"samples": ["9", 0], "vae": ["9", 2]}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["10", 0], "filename_prefix": "p"}},
    }
    error = await refused(run(stub, comfy_order(workflow=workflow(nodes))))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "WORKER_LACKS")


async def test_a_device_that_is_too_small_is_told_before_the_work(stub: Stub) -> None:
    """Memory is a capability like nodes and models."""
    huge = comfy_order(workflow=workflow(vram_bytes=10**15))
    error = await refused(run(stub, huge))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "WORKER_LACKS")


async def test_without_workers_a_job_is_refused(tmp_path: Path) -> None:
    """Nobody waits where nobody works."""
    async with media_factory(tmp_path, []) as stub:
        error = await refused(run(stub, comfy_order()))
        assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "NO_WORKER")


async def test_a_failing_node_is_explained_to_its_author(stub: Stub, comfy: ComfyUIServer) -> None:
    """The learner gets a sentence, the author the node; it is not tried again."""
    comfy.next_runs.append(RunFault.FAIL)
    end = (await run(stub, comfy_order()))[-1].finished
    assert (end.state, end.error_reason) == (pb.JOB_STATE_FAILED, "NODE_FAILED")
    assert "node 2 (SaveImage)" in end.error_detail
    assert end.backend_job_id == comfy.runs[0].prompt_id
    assert "SaveImage" not in end.error_message
    assert len(comfy.runs) == 1


async def test_an_uploaded_picture_is_worked_on(stub: Stub, comfy: ComfyUIServer) -> None:
    """It is read from the store and given to the worker by its content; only the own one."""
    picture = io.BytesIO()
    Image.new("RGB", (80, 40), "navy").save(picture, "PNG")
    media = await upload(stub, picture.getvalue())
    nodes = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "p"}},
    }
    asked = workflow(nodes)
    mappings = {"input_image": {"node_id": "1", "field": "inputs.image"}}
    asked.input_mappings_json = json.dumps(mappings).encode()
    request = comfy_order(workflow=asked, parameters=pb.MediaParameters(input_media=[media]))
    events = await run(stub, request)
    end = events[-1].finished
    assert end.state == pb.JOB_STATE_DONE, end
    assert events[-2].output.photographic
    assert json.loads(end.parameters_json)["input_media"] == [media.sha256]
    info = await stub.GetMediaInfo(
        pb.GetMediaInfoRequest(key=pb.MediaKey(sha256=events[-2].output.media.sha256)),
        metadata=acting("s", Role.SERVICE),
    )
    assert (info.width, info.height) == (80, 40)
    error = await refused(run(stub, request, session="s2"))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "MEDIA_NOT_FOUND")

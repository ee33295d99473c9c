"""Pictures through the front door: a real server, real children, a real folder."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING

import psutil
import pytest

from generation_service.backends.embedded.picture import render_picture
from generation_service.backends.embedded.process import CHILD_MODULE
from generation_service.backends.embedded.variants import Variant
from servicekit.errors import Code
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


from tests.integration.generation import (
    LONG,
    Echo,
    Stub,
    acting,
    generation,
    item,
    order,
    read,
    refused,
    run,
)


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[Stub]:
    """A client of a service that starts with an empty folder."""
    async with generation(tmp_path, Echo()) as stub:
        yield stub


async def test_a_picture_is_made_withheld_released_and_read(stub: Stub, tmp_path: Path) -> None:
    """The whole way of an output, with the very bytes that the renderer made."""
    events = await run(stub, order())
    kinds = [event.WhichOneof("event") for event in events]
    assert [kinds[0], *kinds[-2:]] == ["queued", "output", "finished"]
    end, media = events[-1].finished, events[-2].output.media
    assert end.state == pb.JOB_STATE_DONE
    assert json.loads(end.parameters_json) == {"width": 64, "height": 64, "seed": 7}
    assert end.model == "embedded/picture-a"
    assert not events[-2].output.photographic
    expected = render_picture(Variant.PAINTED, "a cat", width=64, height=64, seed=7)
    assert (tmp_path / media.uri).read_bytes() == expected
    assert (await refused(read(stub, item(), acting("s1")))).reason == "MEDIA_NOT_FOUND"
    release = pb.ReleaseMediaRequest(execution_id="e1", item_id="i1", sha256=media.sha256)
    await stub.ReleaseMedia(release, metadata=acting("s1"))
    assert await read(stub, item(), acting("s1")) == expected
    assert await read(stub, item(), acting("s1"), offset=100) == expected[100:]
    assert await read(stub, item(), acting("s1"), offset=len(expected)) == b""
    assert (await refused(read(stub, item(), acting("s2")))).reason == "MEDIA_NOT_FOUND"
    info = await stub.GetMediaInfo(pb.GetMediaInfoRequest(key=item()), metadata=acting("s1"))
    assert (info.width, info.height, info.released) == (64, 64, True)


async def test_a_seed_is_made_up_and_returned_when_none_is_given(stub: Stub) -> None:
    """A run without a seed can be repeated with the seed that it returned."""
    asked = pb.MediaParameters(width=64, height=64)
    first = await run(stub, order(parameters=asked))
    seed = json.loads(first[-1].finished.parameters_json)["seed"]
    again = await run(stub, order(seed=seed, item_id="i2"))
    assert first[-2].output.media.sha256 == again[-2].output.media.sha256


async def test_unknown_parameters_are_warned_about(stub: Stub) -> None:
    """The result says what was not applied."""
    asked = pb.MediaParameters(
        width=64, height=64, seed=1, steps=20, negative_prompt="dogs", extra_json=b'{"glitter": 3}'
    )
    end = (await run(stub, order(parameters=asked, priority=5)))[-1].finished
    text = " ".join(end.warnings)
    assert all(name in text for name in ("steps", "negative_prompt", "glitter", "priority"))


async def test_nobody_gets_a_neighbours_bytes(stub: Stub) -> None:
    """Twelve sessions at once, each gets the picture of its own words."""

    async def check(number: int) -> None:
        prompt = f"a cat and {'cloud ' * number}"
        request = order(prompt, seed=number, execution_id=f"e{number}", model="picture-b")
        events = await run(stub, request, session=f"s{number}")
        expected = render_picture(Variant.PRINTED, prompt, width=64, height=64, seed=number)
        assert events[-2].output.media.sha256 == hashlib.sha256(expected).hexdigest()

    await asyncio.gather(*(check(number) for number in range(12)))


@pytest.mark.parametrize(
    ("changes", "code", "reason", "field"),
    [
        ({"prompt": "  "}, Code.INVALID_ARGUMENT, "EMPTY_PROMPT", "prompt"),
        ({"prompt": "x" * 20_001}, Code.INVALID_ARGUMENT, "PROMPT_TOO_LONG", "prompt"),
        ({"media_type": 0}, Code.INVALID_ARGUMENT, "MEDIA_TYPE_UNSPECIFIED", "media_type"),
        ({"execution_id": ""}, Code.INVALID_ARGUMENT, "EXECUTION_MISSING", "execution_id"),
        ({"priority": 10}, Code.INVALID_ARGUMENT, "PARAMETER_OUT_OF_RANGE", "priority"),
        (
            {"idempotency_key": "k" * 129},
            Code.INVALID_ARGUMENT,
            "PARAMETER_OUT_OF_RANGE",
            "idempotency_key",
        ),
        (
            {"parameters": pb.MediaParameters(width=63)},
            Code.INVALID_ARGUMENT,
            "PARAMETER_OUT_OF_RANGE",
            "parameters.width",
        ),
        (
            {"parameters": pb.MediaParameters(extra_json=b"[1]")},
            Code.INVALID_ARGUMENT,
            "PARAMETER_OUT_OF_RANGE",
            "parameters.extra_json",
        ),
        ({"backend": "nobody"}, Code.NOT_FOUND, "BACKEND_NOT_FOUND", None),
        ({"backend": "comfyui"}, Code.INVALID_ARGUMENT, "WORKFLOW_MISSING", "workflow"),
        ({"model": "picture-z"}, Code.NOT_FOUND, "MODEL_NOT_FOUND", None),
        ({"media_type": types_pb2.MEDIA_TYPE_VIDEO}, Code.NOT_FOUND, "MODEL_NOT_FOUND", None),
    ],
)
async def test_faulty_requests_are_refused(
    stub: Stub, changes: dict[str, object], code: Code, reason: str, field: str | None
) -> None:
    """Each documented error has its status, its reason and its field."""
    error = await refused(run(stub, order(**changes)))  # type: ignore[arg-type]
    assert (error.code, error.reason, error.field) == (code, reason, field)


async def test_a_full_queue_tells_when_to_retry(stub: Stub) -> None:
    """One session cannot fill the house, and hears when there is room again."""
    calls = [
        stub.GenerateMedia(order(parameters=LONG, item_id=f"i{n}"), metadata=acting("s1"))
        for n in range(4)
    ]
    for call in calls:
        assert (await anext(aiter(call))).WhichOneof("event") in ("queued", "started")
    error = await refused(run(stub, order()))
    assert (error.code, error.reason) == (Code.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    assert error.retry_seconds
    for call in calls:
        call.cancel()


async def test_a_job_can_be_cancelled_by_its_session_only(stub: Stub) -> None:
    """The stream of a cancelled job ends with its state; a neighbour cannot cause that."""
    call = stub.GenerateMedia(order(parameters=LONG), metadata=acting("s1"))
    events = aiter(call)
    request = pb.CancelJobRequest(job_id=(await anext(events)).job_id)
    error = await refused(stub.CancelJob(request, metadata=acting("s2")))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "JOB_NOT_FOUND")
    answer = await stub.CancelJob(request, metadata=acting("s1"))
    assert answer.state == pb.JOB_STATE_CANCELLED
    last = [event async for event in events][-1]
    assert last.finished.state == pb.JOB_STATE_CANCELLED
    assert await stub.CancelJob(request, metadata=acting("s1")) == answer


async def test_a_caller_who_leaves_cancels_the_job(stub: Stub) -> None:
    """Nobody renders for nobody; the next one is not kept waiting."""
    call = stub.GenerateMedia(order(parameters=LONG), metadata=acting("s1"))
    async for event in call:
        if event.WhichOneof("event") == "started":
            break
    job_id = event.job_id
    call.cancel()

    async def cancelled() -> bool:
        request = pb.CancelJobRequest(job_id=job_id)
        state = (await stub.CancelJob(request, metadata=acting("s1"))).state
        return state == pb.JOB_STATE_CANCELLED

    await eventually(cancelled)
    assert (await run(stub, order()))[-1].finished.state == pb.JOB_STATE_DONE


async def test_the_same_key_replays_the_job_even_after_leaving(stub: Stub) -> None:
    """A detached job is found again by its key, finished, with the same file."""
    request = order(seed=None, detach=True, idempotency_key="once")
    call = stub.GenerateMedia(request, metadata=acting("s1"))
    job_id = (await anext(aiter(call))).job_id
    call.cancel()
    again = await run(stub, request)
    assert again[-1].job_id == job_id
    assert again[-1].finished.state == pb.JOB_STATE_DONE
    replayed = await run(stub, request)
    assert replayed[-1].finished == again[-1].finished
    assert replayed[-2].output == again[-2].output


async def test_a_crashing_renderer_is_survived(stub: Stub) -> None:
    """A child that dies costs an attempt; the job is done all the same."""
    killed = False
    async for event in stub.GenerateMedia(order(parameters=LONG), metadata=acting("s1")):
        if event.WhichOneof("event") == "progress" and not killed:
            killed = True
            for child in psutil.Process().children():
                if CHILD_MODULE in child.cmdline():
                    child.kill()
        last = event
    assert last.finished.state == pb.JOB_STATE_DONE

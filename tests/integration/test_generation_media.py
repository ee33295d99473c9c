"""Media through the front door: a real server, real children, a real folder."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, TypeAlias

import grpc
import psutil
import pytest

from generation_service.backends.embedded.picture import Variant, render_picture
from generation_service.backends.embedded.process import CHILD_MODULE
from generation_service.roles import ResolvedRole
from generation_service.service import add_generation
from generation_service.settings import GenerationSettings
from generation_service.text.interface import TextDelta, TextResult
from servicekit.errors import Code, remote_error
from servicekit.principals import Role, identity_metadata
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk.generation.v1 import generation_service_pb2_grpc
from tests.support import eventually, serving
from tests.unit.generation_service.media.pictures import SECRET, picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from generation_service.text.interface import TextRequest
    from servicekit.errors import RemoteError
    from servicekit.server import Owned, ServiceNames

Stub: TypeAlias = "generation_service_pb2_grpc.GenerationServiceAsyncStub"  # in type stubs only


class Echo:
    """Answers the text RPCs by repeating the question, and tells when it was left."""

    def __init__(self) -> None:
        self.left = False

    def resolve(self, role: str) -> ResolvedRole:
        return ResolvedRole(f"echo/{role}", "echo", ("echo/b",), False, "test", True)

    async def generate(self, request: TextRequest) -> AsyncIterator[TextDelta | TextResult]:
        try:
            for message in request.messages:
                yield TextDelta(message.content)
            if request.parameters.max_tokens == 1:
                await asyncio.Event().wait()
            yield TextResult(
                text="".join(m.content for m in request.messages),
                messages=request.messages,
                parameters={"seed": request.parameters.seed},
                model="echo/a",
                backend="echo",
                prompt_token_count=None,
                completion_token_count=2,
                run_seconds=1.5,
                first_token_seconds=0.25,
                finish_reason="stop",
            )
        finally:
            self.left = True


@pytest.fixture
def text() -> Echo:
    """Stands in for the language models, which have tests of their own."""
    return Echo()


@pytest.fixture
async def channel(tmp_path: Path, text: Echo) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a generation service that keeps its files in a temporary folder."""
    settings = GenerationSettings(
        listen_address="127.0.0.1:0",
        data_dir=tmp_path,
        grace_seconds=1,
        session_queue_limit=3,
        upload_max_bytes=100_000,
    )

    async def register(server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        return await add_generation(server, owned, settings, text)

    async with serving(register, settings) as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Stub:
    """A client."""
    return generation_service_pb2_grpc.GenerationServiceStub(channel)


def acting(session: str, role: Role = Role.LEARNER) -> list[tuple[str, str]]:
    """Metadata of a service that acts on behalf of somebody."""
    return identity_metadata(user=f"user-{session}", session=session, role=role)


def order(
    prompt: str = "a cat", seed: int | None = 7, **changes: object
) -> pb.GenerateMediaRequest:
    """A request for a small picture."""
    fields: dict[str, object] = {
        "execution_id": "e1",
        "loop_iteration": 1,
        "output_config": "embedded_image",
        "backend": "embedded",
        "model": "picture-a",
        "media_type": types_pb2.MEDIA_TYPE_IMAGE,
        "prompt": prompt,
        "parameters": pb.MediaParameters(width=64, height=64, seed=seed),
        "item_id": "i1",
    }
    return pb.GenerateMediaRequest(**{**fields, **changes})  # type: ignore[arg-type]


LONG = pb.MediaParameters(width=2048, height=2048, seed=1)


async def run(
    stub: Stub, request: pb.GenerateMediaRequest, session: str = "s1"
) -> list[pb.GenerateMediaResponse]:
    """All events of a job."""
    return [event async for event in stub.GenerateMedia(request, metadata=acting(session))]


async def read(
    stub: Stub, key: pb.MediaKey, metadata: list[tuple[str, str]], offset: int = 0
) -> bytes:
    """All bytes of a file."""
    call = stub.ReadMedia(pb.ReadMediaRequest(key=key, offset=offset), metadata=metadata)
    return b"".join([piece.data async for piece in call])


async def refused(call: Awaitable[object]) -> RemoteError:
    """The error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return remote_error(failed.value)


def item(execution_id: str = "e1", item_id: str = "i1") -> pb.MediaKey:
    """A file by its item."""
    return pb.MediaKey(item=pb.ItemKey(execution_id=execution_id, item_id=item_id))


async def upload(stub: Stub, data: bytes, session: str = "s1") -> types_pb2.MediaRef:
    """Send a file in pieces."""

    async def parts() -> AsyncIterator[pb.UploadMediaRequest]:
        yield pb.UploadMediaRequest(header=pb.UploadMediaHeader(filename="photo.jpg"))
        for start in range(0, len(data), 64 * 1024):
            yield pb.UploadMediaRequest(data=data[start : start + 64 * 1024])

    return (await stub.UploadMedia(parts(), metadata=acting(session))).media


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
        ({"backend": "comfyui"}, Code.NOT_FOUND, "BACKEND_NOT_FOUND", None),
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


async def test_an_upload_is_cleaned_and_its_owners(stub: Stub) -> None:
    """A photograph comes back without its place, to its owner and to nobody else."""
    media = await upload(stub, picture("JPEG"))
    key = pb.MediaKey(sha256=media.sha256)
    data = await read(stub, key, acting("s1"))
    assert hashlib.sha256(data).hexdigest() == media.sha256
    assert SECRET.encode() not in data
    assert (media.mime_type, media.filename) == ("image/jpeg", "photo.jpg")
    info = pb.GetMediaInfoRequest(key=key)
    assert (await stub.GetMediaInfo(info, metadata=acting("s1"))).media == media
    error = await refused(stub.GetMediaInfo(info, metadata=acting("s2")))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "MEDIA_NOT_FOUND")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "MEDIA_EMPTY"),
        (b"hello", "MEDIA_TYPE_NOT_ALLOWED"),
        (picture("PNG", size=(200, 200))[:-60], "BROKEN_IMAGE"),
        (b"x" * 100_001, "MEDIA_TOO_LARGE"),
    ],
)
async def test_faulty_uploads_are_refused(stub: Stub, data: bytes, reason: str) -> None:
    """Each documented fault of a file has its reason."""
    error = await refused(upload(stub, data))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, reason)


async def test_an_upload_without_a_header_is_refused(stub: Stub) -> None:
    """The first message says what comes."""

    async def parts() -> AsyncIterator[pb.UploadMediaRequest]:
        yield pb.UploadMediaRequest(data=b"x")

    assert (await refused(stub.UploadMedia(parts()))).reason == "HEADER_MISSING"


async def test_reading_needs_a_name_and_a_sane_offset(stub: Stub) -> None:
    """Faulty reads are told apart from missing files."""
    media = await upload(stub, picture("PNG"))
    mine = acting("s1")
    assert (await refused(read(stub, pb.MediaKey(), mine))).reason == "REFERENCE_MISSING"
    key = pb.MediaKey(sha256=media.sha256)
    for offset in (-1, media.size_bytes + 1):
        assert (await refused(read(stub, key, mine, offset))).reason == "OFFSET_INVALID"


async def test_text_passes_through_unchanged(stub: Stub) -> None:
    """What is asked and answered crosses the wire byte for byte."""
    assert (await stub.ResolveRole(pb.ResolveRoleRequest(role="x"))).model == "echo/x"
    question = [pb.TextMessage(role="user", content="Grüße {{A}}\n")]
    request = pb.GenerateTextRequest(
        role="x", messages=question, parameters=pb.TextParameters(seed=2**64 - 1)
    )
    pieces = [piece async for piece in stub.GenerateText(request)]
    assert pieces[0].delta.text == "Grüße {{A}}\n"
    result = pieces[-1].result
    assert list(result.messages) == question
    assert json.loads(result.parameters_json) == {"seed": 2**64 - 1}
    assert not result.HasField("prompt_token_count")
    assert result.run_duration.ToTimedelta().total_seconds() == 1.5


async def test_leaving_a_text_closes_the_stream_to_the_model(stub: Stub, text: Echo) -> None:
    """No model goes on writing for a caller who left."""
    request = pb.GenerateTextRequest(
        messages=[pb.TextMessage(role="user", content="a")],
        parameters=pb.TextParameters(max_tokens=1),
    )
    call = stub.GenerateText(request)
    await anext(aiter(call))
    assert not text.left
    call.cancel()
    await eventually(lambda: text.left)

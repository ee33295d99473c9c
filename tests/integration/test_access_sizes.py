"""Everything that comes from outside has a size limit, and says which field is over it."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from aiohttp import web

from generation_service.backends.comfyui.addresses import WorkerResolver
from generation_service.backends.comfyui.errors import WorkerFaultError
from generation_service.backends.comfyui.http import HttpDoor
from generation_service.backends.comfyui.socket import SocketLimits, WorkerSocket
from servicekit.channel import ending, open_channel
from servicekit.errors import Code, RemoteError, remote_error
from servicekit.nesting import is_deeper_than
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk.safety.v1 import safety_service_pb2 as safety_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from tests.fakes.ollama import FakeOllama
from tests.integration.house import open_house
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

ORCHESTRATOR = "stellwerk.orchestrator.v1.OrchestratorService"
SAFETY = "stellwerk.safety.v1.SafetyService"
GENERATION = "stellwerk.generation.v1.GenerationService"
TRACKER = "stellwerk.tracker.v1.TrackerService"

KIDS = types_pb2.SAFETY_LEVEL_KIDS
LONG = "ä" * 20_001


def nested(depth: int) -> Any:
    """Return a list in a list in a list."""
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def run(**changes: Any) -> Any:
    """Ask for a run."""
    wish = {"config": "dada", "texts": ["Ein Haus"], "safety_level": KIDS, "language": "de"}
    return orchestrator_pb2.RunExecutionRequest(**{**wish, **changes})


def media(**parameters: Any) -> Any:
    """Ask for a picture."""
    return generation_pb2.GenerateMediaRequest(
        execution_id="some-execution",
        backend="embedded",
        media_type=types_pb2.MEDIA_TYPE_IMAGE,
        prompt=parameters.pop("prompt", "a house"),
        workflow=parameters.pop("workflow", None),
        parameters=generation_pb2.MediaParameters(**parameters),
    )


def text(**fields: Any) -> Any:
    """Ask for a verdict."""
    return safety_pb2.CheckTextRequest(**{"safety_level": KIDS, **fields})


FIELDS: list[tuple[str, str, Any, str]] = [
    (ORCHESTRATOR, "RunExecution", run(texts=[LONG]), "texts[0]"),
    (ORCHESTRATOR, "RunExecution", run(context=LONG), "context"),
    (ORCHESTRATOR, "RunExecution", run(texts=["a"] * 1000), "texts"),
    (ORCHESTRATOR, "RunExecution", run(parameters={"width": "1" * 90_000}), "parameters[width]"),
    (
        ORCHESTRATOR,
        "RunExecution",
        run(parameters={"width": "[" * 30 + "]" * 30}),
        "parameters[width]",
    ),
    (ORCHESTRATOR, "RunExecution", run(parameters={f"p{n}": "1" for n in range(33)}), "parameters"),
    (ORCHESTRATOR, "RunExecution", run(language="x" * 1000), "language"),
    (ORCHESTRATOR, "RunExecution", run(idempotency_key="x" * 129), "idempotency_key"),
    (
        ORCHESTRATOR,
        "StartExecution",
        orchestrator_pb2.StartExecutionRequest(execution=run(texts=[LONG])),
        "texts[0]",
    ),
    (SAFETY, "CheckText", text(text=LONG), "text"),
    (
        SAFETY,
        "CheckTexts",
        safety_pb2.CheckTextsRequest(requests=[text(text=LONG)]),
        "requests[0].text",
    ),
    (GENERATION, "GenerateMedia", media(prompt=LONG), "prompt"),
    (GENERATION, "GenerateMedia", media(negative_prompt=LONG), "parameters.negative_prompt"),
    (GENERATION, "GenerateMedia", media(lyrics=LONG), "parameters.lyrics"),
    (
        GENERATION,
        "GenerateMedia",
        media(loras=[generation_pb2.Lora(name="x")] * 65),
        "parameters.loras",
    ),
    (
        GENERATION,
        "GenerateMedia",
        media(extra_json=json.dumps({"a": nested(20)}).encode()),
        "parameters.extra_json",
    ),
    (
        GENERATION,
        "GenerateMedia",
        media(extra_json=json.dumps({"a": "x" * 1024 * 1024}).encode()),
        "parameters.extra_json",
    ),
    (
        GENERATION,
        "GenerateMedia",
        media(workflow=generation_pb2.Workflow(graph_json=json.dumps(nested(21)).encode())),
        "workflow.graph_json",
    ),
    (
        GENERATION,
        "AddWorker",
        generation_pb2.AddWorkerRequest(address="http://" + "x" * 300),
        "address",
    ),
    (TRACKER, "EraseUser", tracker_pb2.EraseUserRequest(user_id="x" * 257), "user_id"),
    (
        TRACKER,
        "ClaimExecution",
        tracker_pb2.ClaimExecutionRequest(execution_id="x" * 65),
        "execution_id",
    ),
    (
        TRACKER,
        "ListExecutions",
        tracker_pb2.ListExecutionsRequest(page_token="x" * 9_000),
        "page_token",
    ),
]
"""Service, RPC, a request that is just over a limit, and the field that is."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def channels(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[dict[str, grpc.aio.Channel]]:
    """Channels to a house, by service."""
    async with (
        FakeOllama() as ollama,
        open_house(tmp_path_factory.mktemp("sizes"), ollama.url) as house,
        open_channel(house.address) as orchestrator,
        open_channel(house.settings.safety_address) as safety,
        open_channel(house.settings.generation_address) as generation,
        open_channel(house.settings.tracker_address) as tracker,
    ):
        yield {
            ORCHESTRATOR: orchestrator,
            SAFETY: safety,
            GENERATION: generation,
            TRACKER: tracker,
        }


async def refusal(channel: grpc.aio.Channel, service: str, rpc: str, request: Any) -> RemoteError:
    """Return why a call is refused."""
    call: Any = channel.unary_stream(f"/{service}/{rpc}")
    with (
        pytest.raises(grpc.aio.AioRpcError) as caught,
        ending(call(request.SerializeToString(), timeout=60)) as responses,
    ):
        async for _ in responses:
            break
    return remote_error(caught.value)


@pytest.mark.asyncio(loop_scope="module")
async def test_each_limit_names_its_field(channels: dict[str, grpc.aio.Channel]) -> None:
    """A request that is just over a limit is INVALID_ARGUMENT and names the field."""
    faults = []
    for service, rpc, request, field in FIELDS:
        error = await refusal(channels[service], service, rpc, request)
        if (error.code, error.field) != (Code.INVALID_ARGUMENT, field):
            faults.append(f"{rpc} {field}: {error.code} {error.reason} {error.field}")
    assert not faults, "\n".join(faults)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254",
        "http://[fe80::1]:8188",
        "http://[::ffff:169.254.169.254]",
        "http://0.0.0.0:8188",
        "http://224.0.0.1:8188",
        "http://name:password@gpu1:8188",
        "http://gpu1:8188/?next=http://elsewhere",
        "file:///etc/passwd",
        "gopher://gpu1",
    ],
)
async def test_workers_are_not_looked_for_everywhere(
    channels: dict[str, grpc.aio.Channel], address: str
) -> None:
    """Where clouds keep credentials, and by anything but HTTP, there is no worker."""
    request = generation_pb2.AddWorkerRequest(address=address)
    error = await refusal(channels[GENERATION], GENERATION, "AddWorker", request)
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "ADDRESS_INVALID")


async def test_a_name_cannot_lead_where_no_worker_may_be() -> None:
    """What a name means is looked at when it is resolved, each time anew."""
    resolver = WorkerResolver()
    found = await resolver.resolve("localhost", 8188, socket.AddressFamily.AF_INET)
    assert {one["host"] for one in found} == {"127.0.0.1"}
    with pytest.raises(OSError, match="No worker"):
        await resolver.resolve("169.254.169.254", 80, socket.AddressFamily.AF_INET)


async def test_a_worker_leads_nowhere_else() -> None:
    """A worker that answers with a redirect is not followed, neither by HTTP nor by its socket."""
    sent_on: list[str] = []
    reached: list[str] = []

    async def worker(request: web.Request) -> web.Response:
        sent_on.append(request.path)
        place = f"{elsewhere}{request.path}"
        raise web.HTTPFound(place.replace("http", "ws") if request.path == "/ws" else place)

    async def other(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.json_response({})

    async with answering(other) as elsewhere, answering(worker) as url:
        client = WorkerSocket(url, SocketLimits(first_pause_seconds=0.01))
        client.start()
        try:
            await eventually(lambda: sent_on.count("/ws") >= 2)
        finally:
            await client.close()
        door = HttpDoor(url)
        try:
            with pytest.raises(WorkerFaultError):
                await door.get_json("/system_stats")
        finally:
            await door.close()
    assert "/system_stats" in sent_on
    assert not reached


@contextlib.asynccontextmanager
async def answering(
    handle: Callable[[web.Request], Awaitable[web.Response]],
) -> AsyncIterator[str]:
    """Run an HTTP server that answers everything by `handle`; yields its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def test_depth_is_counted_without_recursion() -> None:
    """Twenty levels are allowed, one more is not, and ten thousand do no harm."""
    assert not is_deeper_than("text")
    assert not is_deeper_than(nested(20))
    assert is_deeper_than(nested(21))
    assert is_deeper_than({"a": nested(20)})
    assert is_deeper_than(nested(10_000))

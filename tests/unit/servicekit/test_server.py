"""Starting, serving and stopping of a server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from servicekit.channel import MAX_MESSAGE_BYTES, ending, open_channel
from servicekit.errors import Code, remote_error
from servicekit.server import start_server
from servicekit.settings import ConfigurationError, ServiceSettings
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.generation.v1 import generation_service_pb2_grpc as generation_grpc
from stellwerk.tracker.v1 import execution_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk.tracker.v1 import tracker_service_pb2_grpc as tracker_grpc
from tests.support import eventually, free_port, local_settings, serving
from tests.unit.servicekit.probe import GENERATION, TRACKER, probe, unary_unary

if TYPE_CHECKING:
    from servicekit.server import Owned

ROOT = Path(__file__).resolve().parents[3]


async def health(channel: grpc.aio.Channel, name: str) -> str:
    """Return what the health service says about `name`."""
    stub = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


@pytest.mark.parametrize("name", ["", "readiness", TRACKER, GENERATION])
async def test_a_running_server_is_healthy(name: str) -> None:
    """Alive, ready, and each of its services."""
    async with serving(probe()) as channel:
        assert await health(channel, name) == "SERVING"


async def test_two_servers_cannot_share_a_port() -> None:
    """A taken port is a clear error, not a silent partner."""
    async with start_server(local_settings(), probe()) as first:
        settings = ServiceSettings(listen_address=first.address)
        with pytest.raises(ConfigurationError, match="port is in use"):
            async with start_server(settings, probe()):
                pytest.fail("bound a port twice")


async def listed_services(channel: grpc.aio.Channel) -> set[str]:
    """Ask a server for its services by reflection."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with ending(stub.ServerReflectionInfo(iter([request]), timeout=10)) as answers:
        async for answer in answers:
            return {service.name for service in answer.list_services_response.service}
    return set()


async def test_reflection_lists_the_services() -> None:
    """A foreign client can ask what there is."""
    async with serving(probe()) as channel:
        assert await listed_services(channel) == {
            TRACKER,
            GENERATION,
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }


async def test_reflection_can_be_turned_off() -> None:
    """With the setting off, the question is not understood."""
    settings = ServiceSettings(listen_address="127.0.0.1:0", reflection=False, grace_seconds=1)
    async with serving(probe(), settings) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await listed_services(channel)
    assert remote_error(caught.value).code is Code.UNIMPLEMENTED


async def test_messages_have_a_limit() -> None:
    """A message just below 4 MiB passes, one above does not."""
    async with serving(probe()) as channel:
        stub = generation_grpc.GenerationServiceStub(channel)

        async def upload(size: int) -> None:
            message = generation_pb2.UploadMediaRequest(data=b"x" * size)
            await stub.UploadMedia(iter([message]))

        await upload(MAX_MESSAGE_BYTES - 100)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await upload(MAX_MESSAGE_BYTES + 100)
    assert remote_error(caught.value).code is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("rpc", ["GetExecution", "WatchItems", "RecordItems"])
async def test_messages_over_the_limit_are_said_to_be_the_callers_fault(rpc: str) -> None:
    """A client without limits of its own learns which field is too large, and what the limit is."""
    text = "x" * MAX_MESSAGE_BYTES
    about: Any = {
        "GetExecution": tracker_pb2.GetExecutionRequest(execution_id=text),
        "WatchItems": tracker_pb2.WatchItemsRequest(execution_id=text),
        "RecordItems": tracker_pb2.RecordItemsRequest(
            items=[execution_pb2.ExecutionItem(content=text)]
        ),
    }[rpc]
    no_limit = [("grpc.max_send_message_length", -1)]
    async with (
        start_server(local_settings(), probe()) as server,
        grpc.aio.insecure_channel(server.address, options=no_limit) as channel,
    ):
        call = getattr(tracker_grpc.TrackerServiceStub(channel), rpc)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            if rpc == "GetExecution":
                await call(about)
            else:
                async for _ in call(iter([about]) if rpc == "RecordItems" else about):
                    pass
    error = remote_error(caught.value)
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "MESSAGE_TOO_LARGE")
    assert error.field == ("items" if rpc == "RecordItems" else "execution_id")


async def test_what_was_opened_is_closed_when_starting_fails() -> None:
    """A service that cannot start leaves nothing open."""
    closed: list[str] = []

    async def register(server: grpc.aio.Server, owned: Owned) -> list[str]:
        owned.callback(closed.append, "store")
        raise ConfigurationError("no configs")

    with pytest.raises(ConfigurationError, match="no configs"):
        async with start_server(local_settings(), register):
            pytest.fail("started")
    assert closed == ["store"]


async def test_a_failing_hook_does_not_keep_others_from_stopping() -> None:
    """Every hook that runs before the stop gets its turn."""
    ran: list[str] = []

    async def fail() -> None:
        raise RuntimeError("hook")

    async def succeed() -> None:
        ran.append("second")

    async def register(server: grpc.aio.Server, owned: Owned) -> list[str]:
        owned.before_stop(fail)
        owned.before_stop(succeed)
        return []

    async with start_server(local_settings(), register):
        pass
    assert ran == ["second"]


async def test_a_call_over_the_grace_time_is_cancelled() -> None:
    """A call that does not end by itself cannot keep a service from stopping."""
    running, ended = asyncio.Event(), asyncio.Event()

    async def wait(context: Any) -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    settings = ServiceSettings(listen_address="127.0.0.1:0", grace_seconds=0.1)
    server = start_server(settings, probe(wait))
    address = (await server.__aenter__()).address
    async with open_channel(address) as channel:
        call = asyncio.create_task(unary_unary(channel))
        await asyncio.wait_for(running.wait(), 10)
        await server.__aexit__(None, None, None)
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    assert ended.is_set()


async def start_process(**environment: str) -> asyncio.subprocess.Process:
    """Start the service of stopping_service.py."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.unit.servicekit.stopping_service",
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def drive_through_a_stop(process: asyncio.subprocess.Process, address: str) -> None:
    """Call the service, send SIGTERM during the call, and look at it while it drains."""
    assert process.stdout is not None
    ids = [("stellwerk-request-id", "r-1"), ("stellwerk-session", "s-1")]
    async with open_channel(address) as channel:

        async def serves() -> bool:
            try:
                return await health(channel, "readiness") == "SERVING"
            except grpc.aio.AioRpcError:
                return False

        async def drains() -> bool:
            return await health(channel, "readiness") == "NOT_SERVING"

        await eventually(serves, within_seconds=30)
        running = asyncio.create_task(unary_unary(channel, metadata=ids))
        while await asyncio.wait_for(process.stdout.readline(), 20) != b"call running\n":
            pass
        process.send_signal(signal.SIGTERM)
        await eventually(drains)
        assert await health(channel, "") == "SERVING"
        assert await health(channel, TRACKER) == "NOT_SERVING"
        late = asyncio.create_task(unary_unary(channel, metadata=ids))
        await asyncio.wait_for(asyncio.gather(running, late), 20)


async def test_sigterm_stops_in_order() -> None:
    """Not ready, then drain, then running calls finish, then resources close, last opened first."""
    address = f"127.0.0.1:{free_port()}"
    process = await start_process(
        SERVICE_LISTEN_ADDRESS=address, SERVICE_DRAIN_SECONDS="1.5", SERVICE_GRACE_SECONDS="20"
    )
    try:
        await drive_through_a_stop(process, address)
        output, errors = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors
    lines = output.decode().splitlines()
    assert [line for line in lines if not line.startswith("{")] == [
        "call running",
        "before stop",
        "closed what was opened last",
        "closed what was opened first",
    ]
    finished = [json.loads(line) for line in lines if '"rpc_finished"' in line]
    assert len(finished) == 2
    for line in finished:
        assert (line["service"], line["request_id"]) == ("stopping", "r-1")
        assert (line["session_id"], line["grpc_code"]) == ("s-1", "OK")


async def test_a_faulty_key_file_stops_the_service(tmp_path: Path) -> None:
    """A service that cannot know its callers says so and ends with code 78."""
    process = await start_process(SERVICE_API_KEYS_FILE=str(tmp_path / "missing.json"))
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 78
    assert errors.decode().splitlines()[-1].endswith("missing.json: No such file or directory")

"""The table of role and RPC: complete, and obeyed by real servers in every cell."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import stellwerk
from servicekit.access import load_access_table, parse_access_table
from servicekit.api_keys import create_key
from servicekit.channel import ending, open_channel
from servicekit.errors import Code, remote_error
from servicekit.principals import Role
from servicekit.server import start_server
from servicekit.settings import ServiceSettings

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.descriptor import ServiceDescriptor

    from servicekit.server import Owned

FOREIGN = [
    health_pb2.DESCRIPTOR.services_by_name["Health"],
    reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
]

LEARNER_MAY = {
    "/stellwerk.orchestrator.v1.OrchestratorService/CancelExecution",
    "/stellwerk.orchestrator.v1.OrchestratorService/GetConfig",
    "/stellwerk.orchestrator.v1.OrchestratorService/GetExecution",
    "/stellwerk.orchestrator.v1.OrchestratorService/GetServerInfo",
    "/stellwerk.orchestrator.v1.OrchestratorService/Intercept",
    "/stellwerk.orchestrator.v1.OrchestratorService/ListConfigs",
    "/stellwerk.orchestrator.v1.OrchestratorService/Optimize",
    "/stellwerk.orchestrator.v1.OrchestratorService/RegenerateOutput",
    "/stellwerk.orchestrator.v1.OrchestratorService/Render",
    "/stellwerk.orchestrator.v1.OrchestratorService/ResumeExecution",
    "/stellwerk.orchestrator.v1.OrchestratorService/RunExecution",
    "/stellwerk.orchestrator.v1.OrchestratorService/StartExecution",
    "/stellwerk.orchestrator.v1.OrchestratorService/WatchExecution",
    "/stellwerk.generation.v1.GenerationService/GetJob",
    "/stellwerk.generation.v1.GenerationService/GetMediaInfo",
    "/stellwerk.generation.v1.GenerationService/GetQueue",
    "/stellwerk.generation.v1.GenerationService/ListBackends",
    "/stellwerk.generation.v1.GenerationService/ListJobs",
    "/stellwerk.generation.v1.GenerationService/ReadMedia",
    "/stellwerk.generation.v1.GenerationService/ResolveRole",
    "/stellwerk.generation.v1.GenerationService/UploadMedia",
    "/stellwerk.generation.v1.GenerationService/WatchJob",
    "/stellwerk.tracker.v1.TrackerService/GetExecution",
    "/stellwerk.tracker.v1.TrackerService/GetSession",
    "/stellwerk.tracker.v1.TrackerService/ListExecutions",
    "/stellwerk.tracker.v1.TrackerService/ListSessions",
    "/stellwerk.tracker.v1.TrackerService/WatchItems",
}


def own_services() -> list[ServiceDescriptor]:
    """Return the services of the contract, from the generated descriptors."""
    services: list[ServiceDescriptor] = []
    for module in pkgutil.walk_packages(stellwerk.__path__, "stellwerk."):
        if module.name.endswith("_service_pb2"):
            file: Any = importlib.import_module(module.name).DESCRIPTOR
            services.extend(file.services_by_name.values())
    return services


def methods(services: list[ServiceDescriptor]) -> list[str]:
    """Return the full names of all RPCs of `services`."""
    return [f"/{one.full_name}/{method.name}" for one in services for method in one.methods]


async def ignore(request: Any, context: Any) -> bytes:
    """Answer with an empty message."""
    return b""


async def register_everything(server: grpc.aio.Server, owned: Owned) -> list[str]:
    """Serve every RPC of the contract with an empty answer.

    On the wire a single response does not depend on the kind of RPC.
    """
    for service in own_services():
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            method.name: grpc.unary_unary_rpc_method_handler(ignore) for method in service.methods
        }
        handlers["Forgotten"] = grpc.unary_unary_rpc_method_handler(ignore)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service.full_name, handlers)]
        )
    return [service.full_name for service in own_services()]


async def answer(channel: grpc.aio.Channel, method: str, key: str | None) -> Code | None:
    """Return the status of a call of `method` that shows `key`; None if it succeeds."""
    metadata = [("authorization", f"Bearer {key}")] if key else []
    call: Any = channel.unary_stream(method)
    try:
        with ending(call(b"", metadata=metadata, timeout=10)) as responses:
            async for _ in responses:
                break
    except grpc.aio.AioRpcError as exc:
        return remote_error(exc).code
    return None


def test_every_rpc_has_a_row_and_every_row_an_rpc() -> None:
    """The table speaks of the RPCs that exist, of all and of no others."""
    table = load_access_table()
    rows = table.public | table.rights.keys()
    assert rows == set(methods(own_services() + FOREIGN))


def test_a_learner_may_call_just_these() -> None:
    """Widening what learners may do is a change of this test, never an accident."""
    table = load_access_table()
    assert {method for method in table.rights if table.allows(Role.LEARNER, method)} == LEARNER_MAY


def test_services_and_admins_may_call_everything() -> None:
    """No RPC is out of reach for an admin or a neighbour."""
    table = load_access_table()
    for method in methods(own_services()):
        assert table.allows(Role.ADMIN, method)
        assert table.allows(Role.SERVICE, method)


def test_more_trust_never_means_fewer_rights() -> None:
    """A teacher may what a learner may, a researcher what a teacher may."""
    table = load_access_table()
    for lesser, greater in ((Role.LEARNER, Role.TEACHER), (Role.TEACHER, Role.RESEARCHER)):
        for method in table.rights:
            assert table.allows(greater, method) or not table.allows(lesser, method)


def test_an_unknown_role_in_the_table_is_a_fault() -> None:
    """A typing error in the table does not silently lock somebody out."""
    with pytest.raises(ValueError, match="headmaster"):
        parse_access_table('["a.B"]\nGetC = ["headmaster"]')


async def test_every_cell_holds(tmp_path: Path) -> None:
    """A real server lets each role call exactly the RPCs of its rows, and strangers nothing."""
    table = load_access_table()
    path = tmp_path / "keys.json"
    keys = {role: create_key(path, role=role, user=role.value) for role in Role}
    settings = ServiceSettings(
        listen_address="127.0.0.1:0", api_keys_file=path, grace_seconds=1, reflection=False
    )
    async with (
        start_server(settings, register_everything) as server,
        open_channel(server.address) as channel,
    ):
        for method in methods(own_services()):
            assert await answer(channel, method, None) is Code.UNAUTHENTICATED
            for role, key in keys.items():
                expected = None if table.allows(role, method) else Code.PERMISSION_DENIED
                assert await answer(channel, method, key) is expected, f"{role} {method}"


async def test_an_rpc_without_a_row_is_denied(tmp_path: Path) -> None:
    """A handler that somebody forgot to list can be called by nobody, not even an admin."""
    path = tmp_path / "keys.json"
    key = create_key(path, role=Role.ADMIN, user="ada")
    settings = ServiceSettings(listen_address="127.0.0.1:0", api_keys_file=path, grace_seconds=1)
    async with (
        start_server(settings, register_everything) as server,
        open_channel(server.address) as channel,
    ):
        forgotten = "/stellwerk.tracker.v1.TrackerService/Forgotten"
        assert await answer(channel, forgotten, key) is Code.PERMISSION_DENIED
        assert await answer(channel, "/stellwerk.X/Unknown", key) is Code.UNIMPLEMENTED

"""The audit log: what is written down, by whom, and that nobody changes it unnoticed."""

from __future__ import annotations

import json
import multiprocessing
import stat
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from structlog.testing import capture_logs

from servicekit.access import load_access_table
from servicekit.acts import audited_fields
from servicekit.api_keys import create_key
from servicekit.audit import Act, AuditLog, append_line, read_audit
from servicekit.errors import FailedPreconditionError
from servicekit.principals import Role, identity_metadata
from servicekit.server import start_server
from servicekit.settings import ServiceSettings
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.generation.v1 import generation_service_pb2_grpc as generation_grpc
from stellwerk.tracker.v1 import export_service_pb2 as export_pb2
from stellwerk.tracker.v1 import export_service_pb2_grpc as export_grpc
from stellwerk.tracker.v1 import export_workflow_service_pb2 as export_workflow_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk.tracker.v1 import tracker_service_pb2_grpc as tracker_grpc
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from servicekit.server import Owned

SECRET = "a-secret-of-the-services"


async def drain_worker(request: Any, context: Any) -> Any:
    """Refuse all workers but one."""
    if request.name != "gpu-1":
        raise FailedPreconditionError("WORKER_BUSY", "It works.")
    return generation_pb2.DrainWorkerResponse()


async def list_workers(request: Any, context: Any) -> Any:
    """Have none."""
    return generation_pb2.ListWorkersResponse()


async def erase_user(request: Any, context: Any) -> Any:
    """Give a receipt."""
    return tracker_pb2.EraseUserResponse(receipt=tracker_pb2.ErasureReceipt(receipt_id="r-1"))


async def export_executions(request: Any, context: Any) -> AsyncIterator[Any]:
    """Send two chunks."""
    yield export_pb2.ExportExecutionsResponse(data=b"a")
    yield export_pb2.ExportExecutionsResponse(data=b"b")


BEHAVIOURS = (
    (generation_pb2, "GenerationService", "DrainWorker", drain_worker),
    (generation_pb2, "GenerationService", "ListWorkers", list_workers),
    (tracker_pb2, "TrackerService", "EraseUser", erase_user),
    (export_pb2, "ExportService", "ExportExecutions", export_executions),
)


async def register(server: grpc.aio.Server, owned: Owned) -> list[str]:
    """Add them."""
    for module, service, rpc, behaviour in BEHAVIOURS:
        make: Any = (
            grpc.unary_stream_rpc_method_handler
            if behaviour is export_executions
            else grpc.unary_unary_rpc_method_handler
        )
        handler = make(
            behaviour,
            getattr(module, f"{rpc}Request").FromString,
            getattr(module, f"{rpc}Response").SerializeToString,
        )
        name = module.DESCRIPTOR.services_by_name[service].full_name
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(name, {rpc: handler})]
        )
    return []


def lines(path: Path) -> list[dict[str, Any]]:
    """Return what the intact lines of a log say."""
    read = list(read_audit(path)) if path.exists() else []
    assert all(line.intact for line in read)
    return [dict(line.content) for line in read]


async def test_administrative_acts_are_written_down(tmp_path: Path) -> None:
    """Who did what to what, and how it ended; not who only looked, and not what services do."""
    keys, log = tmp_path / "keys.json", tmp_path / "log" / "audit.jsonl"
    key = create_key(keys, role=Role.ADMIN, user="ada")
    settings = ServiceSettings.model_validate(
        {
            "listen_address": "127.0.0.1:0",
            "grace_seconds": 1,
            "api_keys_file": keys,
            "service_key": SECRET,
            "audit_file": log,
        }
    )
    ada = [("authorization", f"Bearer {key}")]
    service = [("authorization", f"Bearer {SECRET}")]
    tom = service + identity_metadata(user="tom", role="teacher")
    async with (
        start_server(settings, register) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        generation = generation_grpc.GenerationServiceStub(channel)
        drain = generation_pb2.DrainWorkerRequest
        await generation.ListWorkers(generation_pb2.ListWorkersRequest(), metadata=ada)
        await generation.DrainWorker(drain(name="gpu-1"), metadata=service)
        await generation.DrainWorker(drain(name="gpu-1"), metadata=tom)
        with pytest.raises(grpc.aio.AioRpcError):
            await generation.DrainWorker(drain(name="gpu-2"), metadata=ada)
        await tracker_grpc.TrackerServiceStub(channel).EraseUser(
            tracker_pb2.EraseUserRequest(user_id="lea"), metadata=ada
        )
        wanted = export_pb2.ExportExecutionsRequest(config_name="dada", user_id="lea")
        export = export_grpc.ExportServiceStub(channel).ExportExecutions(wanted, metadata=ada)
        assert [chunk.data async for chunk in export] == [b"a", b"b"]
        await eventually(lambda: len(lines(log)) == 4)
    said = [
        (line["act"], line["by"], line["role"], line["outcome"], line["details"])
        for line in lines(log)
    ]
    assert said == [
        ("DrainWorker", "tom", "teacher", "OK", {"name": "gpu-1"}),
        ("DrainWorker", "ada", "admin", "WORKER_BUSY", {"name": "gpu-2"}),
        ("EraseUser", "ada", "admin", "OK", {"receipt.receipt_id": "r-1"}),
        ("ExportExecutions", "ada", "admin", "OK", {"config_name": "dada"}),
    ]
    assert "lea" not in log.read_text()
    assert all(line["request_id"] and line["time"].endswith("+00:00") for line in lines(log))
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_acts_are_rpcs_and_their_fields_exist() -> None:
    """The table of acts names RPCs that exist, and fields that one of their messages has."""
    modules = {
        "stellwerk.generation.v1.GenerationService": generation_pb2,
        "stellwerk.tracker.v1.TrackerService": tracker_pb2,
        "stellwerk.tracker.v1.ExportService": export_pb2,
        "stellwerk.tracker.v1.ExportWorkflowService": export_workflow_pb2,
    }
    assert set(audited_fields()) <= set(load_access_table().rights)
    for method, paths in audited_fields().items():
        service, _, rpc = method[1:].partition("/")
        name = service.rpartition(".")[2]
        call = modules[service].DESCRIPTOR.services_by_name[name].methods_by_name[rpc]
        for path in paths:
            assert any(_has(side, path) for side in (call.input_type, call.output_type)), path


def _has(message: Any, path: str) -> bool:
    for name in path.split("."):
        if message is None or name not in message.fields_by_name:
            return False
        message = message.fields_by_name[name].message_type
    return True


async def test_a_changed_line_is_seen(tmp_path: Path) -> None:
    """Changing, removing or swapping lines breaks the seal of the next one."""
    path = tmp_path / "audit.jsonl"
    audit = AuditLog("tracker", path)
    for number in range(4):
        await audit.note(Act("PauseQueue", f"person-{number}", "teacher"))
    good = path.read_text().splitlines(keepends=True)
    for bad in (
        [good[0].replace("person-0", "person-9"), *good[1:]],
        [good[0], *good[2:]],
        [good[1], good[0], *good[2:]],
        [*good[:2], "nonsense\n", *good[2:]],
        [*good[:3], json.dumps({"act": "Invented"}) + "\n"],
    ):
        path.write_text("".join(bad))
        assert not all(line.intact for line in read_audit(path))
    path.write_text("".join(good))
    assert len(lines(path)) == 4


def _append_many(path: Path, name: str) -> None:
    for number in range(20):
        append_line(path, {"act": name, "number": number})


def test_several_services_share_a_file(tmp_path: Path) -> None:
    """Lines of several processes never tear or cover one another, and all seals hold."""
    path = tmp_path / "audit.jsonl"
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_append_many, args=(path, f"p{one}")) for one in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert len(lines(path)) == 40


async def test_an_act_goes_on_where_the_log_cannot(tmp_path: Path) -> None:
    """A log that cannot be written stops nobody; the act is still told in the logs."""
    (tmp_path / "file").write_text("")
    audit = AuditLog("tracker", tmp_path / "file" / "audit.jsonl")
    with capture_logs() as told:
        await audit.note(Act("PauseQueue", "tom", "teacher"))
    assert [line["event"] for line in told] == ["administrative_act", "audit_not_written"]


def test_a_torn_last_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    """After a power cut in the middle of a line the next one is a line of its own."""
    path = tmp_path / "audit.jsonl"
    append_line(path, {"act": "first"})
    with path.open("ab") as file:
        file.write(b'{"act":"tor')
    append_line(path, {"act": "second"})
    assert [line.intact for line in read_audit(path)] == [True, False, True]


async def test_changed_files_are_acts_of_the_system(tmp_path: Path) -> None:
    """A policy or config that is taken up or refused later is noted; what was there is not."""
    log = tmp_path / "audit.jsonl"
    kept: list[Owned] = []

    async def keep(server: grpc.aio.Server, owned: Owned) -> list[str]:
        kept.append(owned)
        return []

    settings = ServiceSettings(listen_address="127.0.0.1:0", grace_seconds=1, audit_file=log)
    async with start_server(settings, keep):
        for in_order in (True, False, True):
            await kept[0].report("policy", in_order=in_order)
    assert [(line["by"], line["outcome"], line["details"]) for line in lines(log)] == [
        ("system", "FAULTY", {"what": "policy"}),
        ("system", "OK", {"what": "policy"}),
    ]

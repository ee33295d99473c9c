"""The deployment as a server tells it: its services, models, guards, workers and records.

It works with any deployment that can be reached, on this machine or elsewhere, and says of each
part what the key at hand may see of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.channel import open_channel
from servicekit.errors import Code, RemoteError, remote_error
from servicekit.version import VERSION_KEY, software_version
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.safety.v1 import safety_service_pb2 as safety_pb2
from stellwerk.safety.v1.safety_service_pb2_grpc import SafetyServiceStub
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from stellwerk_cli.checkup.comfyui import workers_lack
from stellwerk_cli.checkup.findings import Finding, examine, fault, missing, ok
from stellwerk_client.connections import seen_from_outside, trusted_authorities

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

READINESS = "readiness"
NEEDED_ROLES = ("translation", "interception", "optimization")
OTHER_ROLES = ("text_guard", "image_guard", "summary", "coding", "image_analysis")
_CALL_SECONDS = 15.0  # more than the limit of a whole check: a busy school box is no fault
Look: TypeAlias = "Callable[[grpc.aio.Channel], Awaitable[list[Finding]]]"
_FILES_IN_ORDER = {"orchestrator": "configs", "safety": "policy"}
"""What services tell by health, besides whether they serve."""


@dataclass(frozen=True)
class Server:
    """A server and how to speak to it.

    Attributes:
        address: The orchestrator, `host:port`.
        api_key: Shown on each call; empty: none.
        here: Whether it is on this machine.
        limit_seconds: How long each check may take.
    """

    address: str
    api_key: str
    here: bool
    limit_seconds: float

    def channel(self, address: str) -> grpc.aio.Channel:
        """Open a channel to one of its services."""
        certificates = trusted_authorities(None)
        return open_channel(address, api_key=self.api_key or None, certificates=certificates)


async def deployment(server: Server) -> list[Finding]:
    """Look at everything that a server leads to; without one there is one finding."""
    async with server.channel(server.address) as channel:
        found = await _service("orchestrator", server, server.address, channel)
        if not found[0].fine:
            return found
        try:
            info: orchestrator_pb2.GetServerInfoResponse = await OrchestratorServiceStub(
                channel
            ).GetServerInfo(orchestrator_pb2.GetServerInfoRequest(), timeout=_CALL_SECONDS)
        except grpc.RpcError as exc:
            fix = "Give a valid key with STELLWERK_API_KEY (`stellwerk keys new`)."
            return [*found, fault("server", remote_error(exc).message, fix)]
    return [*found, _version(info.software_version), *await _neighbours(server, info)]


def _version(served: str) -> Finding:
    own = software_version()
    if served == own:
        return ok("version", f"the server and this command are of version {own}")
    words = f"the server is of version {served}, this command of {own}"
    return missing("version", words, "Install the same version here, if a command fails.")


async def _neighbours(
    server: Server, info: orchestrator_pb2.GetServerInfoResponse
) -> list[Finding]:
    places: dict[str, tuple[str, Look]] = {
        "safety": (info.safety_address, _guards),
        "generation": (info.generation_address, _generation),
        "tracker": (info.tracker_address, _records),
    }

    async def check(name: str) -> list[Finding]:
        told, look = places[name]
        address = seen_from_outside(told, server.address)
        async with server.channel(address) as channel:
            found = await _service(name, server, address, channel, info.software_version)
            if not found[0].fine:
                return found
            try:
                return [*found, *await look(channel)]
            except grpc.RpcError as exc:
                return [*found, _refused(name, remote_error(exc))]

    checks = {name: partial(check, name) for name in places}
    return await examine(checks, server.limit_seconds)


def _refused(name: str, error: RemoteError) -> Finding:
    if error.code in (Code.PERMISSION_DENIED, Code.UNAUTHENTICATED):
        fix = "A key of role teacher, researcher or admin sees more."
        return missing(name, "your key may not look any further", fix)
    return fault(name, error.message or error.code, f"Look into the log of the {name} service.")


async def _service(
    name: str, server: Server, address: str, channel: grpc.aio.Channel, expected: str = ""
) -> list[Finding]:
    serving, version = await health(channel, READINESS)
    if not serving:
        words = "does not answer" if serving is None else "answers, but takes no calls,"
        fix = f"Look into the log of the {name} service."
        if server.here:
            fix = "Start the services with `stellwerk up`, or name a server with --server."
            if name != "orchestrator":
                fix = f"Look into its log (DATA/logs/{name}.log)."
        return [fault(name, f"{words} at {address}", fix)]
    found = [ok(name, f"serves at {address}, version {version or 'unknown'}")]
    if version and expected and version != expected:
        words = f"the orchestrator is of version {expected}, this one of {version}"
        found.append(fault(name, words, "Finish the upgrade, or roll back (docs/operations)."))
    files = _FILES_IN_ORDER.get(name)
    if files and (await health(channel, files))[0] is False:
        words = f"a change of its {files} was refused; those before are in force"
        found.append(fault(name, words, f"Its log says what is wrong with the {files}."))
    return found


async def health(channel: grpc.aio.Channel, name: str) -> tuple[bool | None, str]:
    """Ask for a health name.

    Returns:
        True: in order; False: not; None: nobody answers, or nobody knows the name. And the
        version of who answered; empty: not told.
    """
    request = health_pb2.HealthCheckRequest(service=name)
    call = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_CALL_SECONDS)
    try:
        answer = await call
    except grpc.aio.AioRpcError as exc:
        unknown = exc.code() is grpc.StatusCode.NOT_FOUND and name == READINESS
        return False if unknown else None, ""
    told = {key: str(value) for key, value in await call.trailing_metadata() or ()}
    in_order = bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
    return in_order, told.get(VERSION_KEY, "")


async def _guards(channel: grpc.aio.Channel) -> list[Finding]:
    """Which checks this deployment lacks, and whether that stops anything."""
    answer = await SafetyServiceStub(channel).ListPolicies(
        safety_pb2.ListPoliciesRequest(), timeout=_CALL_SECONDS
    )
    lacking: dict[str, list[str]] = {}
    for level in answer.levels:
        word = types_pb2.SafetyLevel.Name(level.safety_level).removeprefix("SAFETY_LEVEL_").lower()
        for check in level.checks:
            if not check.configured:
                lacking.setdefault(check.name, []).append(word)
    found = [
        fault("safety", line, "Mend the file; what was before is in force.")
        for line in answer.faults
    ]
    terms = sum(level.entry_count for level in answer.levels[:1])
    found.append(ok("guards", f"policy {answer.policy_version[:12]}, {terms} terms for kids"))
    for name, levels in lacking.items():
        fix = f"Set SAFETY_{name.upper()}=true and give its role a model (docs/guards.md)."
        found.append(missing("guards", f"there is no {name}, asked for {', '.join(levels)}", fix))
    return found


async def _generation(channel: grpc.aio.Channel) -> list[Finding]:
    stub = GenerationServiceStub(channel)
    workers = await stub.ListWorkers(generation_pb2.ListWorkersRequest(), timeout=_CALL_SECONDS)
    found = [await _roles(stub), await _queue(stub)]
    usable = (generation_pb2.WORKER_STATE_READY, generation_pb2.WORKER_STATE_BUSY)
    for worker in workers.workers:
        if worker.state in usable:
            found.append(ok("worker", f"{worker.name} ({worker.backend}) is well"))
        elif worker.fault:
            fix = "Look into its log; stellwerk workers list says how it is."
            found.append(fault("worker", f"{worker.name}: {worker.fault}", fix))
        else:
            state = generation_pb2.WorkerState.Name(worker.state).removeprefix("WORKER_STATE_")
            fix = f"stellwerk workers undrain {worker.name}, if it shall work."
            found.append(missing("worker", f"{worker.name} is {state}", fix))
    comfyui = (worker.address for worker in workers.workers if worker.backend == "comfyui")
    return found + await workers_lack(comfyui)


async def _roles(stub: Any) -> Finding:
    resolved, lacking = [], []
    for role in (*NEEDED_ROLES, *OTHER_ROLES):
        request = generation_pb2.ResolveRoleRequest(role=role)
        try:
            answer = await stub.ResolveRole(request, timeout=_CALL_SECONDS)
        except grpc.RpcError:
            lacking.append(role)
            continue
        off_site = ", off the site" if answer.leaves_site else ""
        resolved.append(f"{role}: {answer.model}{off_site}")
    words = "; ".join(resolved)
    if needed := [role for role in lacking if role in NEEDED_ROLES]:
        fix = "Give them a model in the profile of models.json."
        return fault("roles", f"no model for {', '.join(needed)}; {words}", fix)
    if lacking:
        return missing("roles", f"{words}; none for {', '.join(lacking)}", "See models.json.")
    return ok("roles", words)


async def _queue(stub: Any) -> Finding:
    queue = (await stub.GetQueue(generation_pb2.GetQueueRequest(), timeout=_CALL_SECONDS)).queue
    words = f"{queue.waiting_count} jobs wait, {queue.running_count} run"
    if queue.paused:
        return missing("queue", f"it is paused; {words}", "stellwerk jobs resume")
    return ok("queue", words)


async def _records(channel: grpc.aio.Channel) -> list[Finding]:
    """Whether the tracker's database answers; its schema is current, else it would not serve."""
    request = tracker_pb2.ListExecutionsRequest(page_size=1)
    await TrackerServiceStub(channel).ListExecutions(request, timeout=_CALL_SECONDS)
    return [ok("records", "the tracker's database answers")]

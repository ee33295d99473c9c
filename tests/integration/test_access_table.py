"""Every role, every RPC and every route, on what is one's own and on what is somebody else's.

The table of role and RPC says who may call; whose an execution is decides the rest. Here both are
held against a whole house with keys: each person calls each RPC with everything that Lea made.
"""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import gateway.routes
import stellwerk
from gateway.pages.wiring import ROUTERS as PAGES
from servicekit.access import load_access_table
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.tracker.v1 import export_service_pb2 as export_pb2
from tests.fakes.ollama import FakeOllama
from tests.integration.guarded_house import (
    ANSWER,
    MARKS,
    PEOPLE,
    SEE,
    Answer,
    GuardedHouse,
    Made,
    ask,
    open_guarded_house,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORCHESTRATOR = "stellwerk.orchestrator.v1.OrchestratorService"
SAFETY = "stellwerk.safety.v1.SafetyService"
GENERATION = "stellwerk.generation.v1.GenerationService"
TRACKER = "stellwerk.tracker.v1.TrackerService"
EXPORT = "stellwerk.tracker.v1.ExportService"
CHANNELS = {
    ORCHESTRATOR: "orchestrator",
    SAFETY: "safety",
    GENERATION: "generation",
    TRACKER: "tracker",
    EXPORT: "tracker",
    "stellwerk.tracker.v1.ExportWorkflowService": "tracker",
}
"""Which server speaks which service."""


def of_execution(made: Made) -> dict[str, Any]:
    """Name Lea's execution."""
    return {"execution_id": made.execution_id}


def of_output(made: Made) -> dict[str, Any]:
    """Name an output that her execution does not have: nothing is made when it may be seen."""
    return {"execution_id": made.execution_id, "loop_iteration": 8}


def of_step(made: Made) -> dict[str, Any]:
    """Name her execution and the item that a step would go on from."""
    return {"execution_id": made.execution_id, "based_on_item_id": made.item_id}


def of_job(made: Made) -> dict[str, Any]:
    """Name the job that made her picture."""
    return {"job_id": made.job_id}


def of_picture(made: Made) -> dict[str, Any]:
    """Name her picture."""
    item = generation_pb2.ItemKey(execution_id=made.execution_id, item_id=made.item_id)
    return {"key": generation_pb2.MediaKey(item=item)}


def of_release(made: Made) -> dict[str, Any]:
    """Ask for her picture as an item of one's own."""
    return {"execution_id": made.execution_id, "item_id": "taken", "sha256": made.sha256}


def of_export(made: Made) -> dict[str, Any]:
    """Ask for a file of her execution."""
    return {
        "format": export_pb2.EXPORT_FORMAT_JSON_LINES,
        "execution_ids": [made.execution_id],
    }


OWNED: dict[str, Callable[[Made], dict[str, Any]]] = {
    f"/{ORCHESTRATOR}/CancelExecution": of_execution,
    f"/{ORCHESTRATOR}/GetExecution": of_execution,
    f"/{ORCHESTRATOR}/Intercept": of_step,
    f"/{ORCHESTRATOR}/Optimize": of_step,
    f"/{ORCHESTRATOR}/RegenerateOutput": of_output,
    f"/{ORCHESTRATOR}/Render": of_step,
    f"/{ORCHESTRATOR}/ResumeExecution": of_execution,
    f"/{ORCHESTRATOR}/WatchExecution": of_execution,
    f"/{EXPORT}/ExportExecutions": of_export,
    f"/{GENERATION}/CancelJob": of_job,
    f"/{GENERATION}/GetJob": of_job,
    f"/{GENERATION}/GetMediaInfo": of_picture,
    f"/{GENERATION}/ReadMedia": of_picture,
    f"/{GENERATION}/ReleaseMedia": of_release,
    f"/{GENERATION}/WatchJob": of_job,
    f"/{TRACKER}/GetExecution": of_execution,
    f"/{TRACKER}/GetOwner": of_execution,
    f"/{TRACKER}/GetPlan": of_execution,
    f"/{TRACKER}/GetSession": lambda made: {"session_id": made.session_id},
    f"/{TRACKER}/VerifyChain": of_execution,
    f"/{TRACKER}/WatchItems": of_execution,
}
"""RPCs that name what belongs to somebody: to all who may not see it, it is not there."""

LISTS: dict[str, Callable[[Made], dict[str, Any]]] = {
    f"/{GENERATION}/ListJobs": of_execution,
    f"/{TRACKER}/ListExecutions": lambda _: {},
    f"/{TRACKER}/ListSessions": lambda _: {},
}
"""RPCs that tell what the caller may see: nothing else is among it."""

HARMLESS: dict[str, dict[str, Any]] = {
    f"/{TRACKER}/EraseUser": {"user_id": "nobody-of-this-name"},
    f"/{TRACKER}/DeleteExecutions": {"execution_ids": ["no-such-execution"], "dry_run": True},
    f"/{TRACKER}/ClaimExecution": {"execution_id": "no-such-execution"},
    f"/{TRACKER}/ListConfigUsage": {},
}
"""What is asked of RPCs that belong to nobody, where an empty request will not do."""

UNOWNED = {
    f"/{GENERATION}/DeleteMedia",
    f"/{GENERATION}/GenerateMedia",
    f"/{GENERATION}/GenerateText",
    f"/{TRACKER}/GetPatterns",
    f"/{TRACKER}/GetStatistics",
}
"""RPCs that name an execution or a session: for services and admins only, or as a filter."""

BY_PSEUDONYM = {f"/{TRACKER}/GetSession", f"/{TRACKER}/ListSessions"}
"""Researchers know sessions by other names."""

OPEN_PATHS = {
    "/healthz",
    "/readyz",
    "/login",
    "/logout",
    "/language",
    "/static/{path:path}",
}
"""Routes that show everybody the same."""

FOR_PEOPLE = (
    "/api/configs",
    "/api/executions",
    "/api/media",
    "/api/models",
    "/api/outputs",
    "/api/server",
    "/look",
    "/make",
)
"""Where learners have business; all other routes are for staff."""

NAMES = {"execution_id", "job_id", "key", "session_id"}

NOT_THERE = {
    "EXECUTION_NOT_FOUND",
    "JOB_NOT_FOUND",
    "MEDIA_NOT_FOUND",
    "SESSION_NOT_FOUND",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GuardedHouse]:
    """A house in which Lea has made a picture."""
    async with (
        FakeOllama(ANSWER) as ollama,
        open_guarded_house(tmp_path_factory.mktemp("guarded"), ollama.url) as house,
    ):
        yield house


def methods() -> dict[str, Any]:
    """Return all RPCs of the contract with their descriptors."""
    found = {}
    for module in pkgutil.walk_packages(stellwerk.__path__, "stellwerk."):
        if module.name.endswith("_service_pb2"):
            for service in import_module(module.name).DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    found[f"/{service.full_name}/{method.name}"] = method
    return found


def request_of(method: str, made: Made) -> Any:
    """Return what is asked: for Lea's things where the RPC names things."""
    descriptor = methods()[method].input_type
    message = getattr(import_module(_module_of(descriptor)), descriptor.name)
    fields = OWNED.get(method) or LISTS.get(method)
    return message(**(fields(made) if fields else HARMLESS.get(method, {})))


def _module_of(descriptor: Any) -> str:
    name: str = descriptor.file.name
    return name.removesuffix(".proto").replace("/", ".") + "_pb2"


def shows(data: bytes, made: Made) -> bool:
    """Tell whether bytes hold anything of Lea's."""
    marks = [*MARKS, made.execution_id, made.item_id, made.sha256, made.job_id, made.session_id]
    return any(mark.encode() in data for mark in marks)


@pytest.mark.parametrize("name", PEOPLE)
async def test_every_rpc_for_everybody(house: GuardedHouse, name: str) -> None:
    """Who may not call is refused, who may not see finds nothing, everybody else gets through."""
    made, faults = house.made, []
    for method in sorted(load_access_table().rights):
        channel = house.channels[CHANNELS[method[1:].partition("/")[0]]]
        answer = await ask(channel, method, request_of(method, made), house.keys[name])
        if fault := fault_of(name, method, answer, made):
            faults.append(f"{name} {method}: {answer.code} {answer.reason}: {fault}")
    assert not faults, "\n".join(faults)


def fault_of(name: str, method: str, answer: Answer, made: Made) -> str:
    """Return what is wrong with an answer; empty: nothing."""
    refused = (answer.code, answer.reason) == ("PERMISSION_DENIED", "RPC_NOT_ALLOWED")
    if not load_access_table().allows(PEOPLE[name][0], method):
        return "" if refused else "should be refused"
    if refused or answer.code == "UNAUTHENTICATED":
        return "should be allowed"
    if name == "rosa" and made.session_id.encode() in answer.data:
        return "tells a researcher somebody's name"
    sees = name in SEE and not (name == "rosa" and method in BY_PSEUDONYM)
    found = answer.code != "NOT_FOUND" or answer.reason not in NOT_THERE
    if method in OWNED and found != sees:
        return "should be found" if sees else "should not be found"
    if method in LISTS and (answer.code != "OK" or shows(answer.data, made) != sees):
        return "should be listed" if sees else "should not be listed"
    return "shows too much" if not sees and shows(answer.data, made) else ""


async def test_every_rpc_for_strangers(house: GuardedHouse) -> None:
    """Without a key nobody calls anything but health."""
    for method in load_access_table().rights:
        channel = house.channels[CHANNELS[method[1:].partition("/")[0]]]
        answer = await ask(channel, method, request_of(method, house.made), "")
        assert answer.code == "UNAUTHENTICATED", method


@pytest.mark.parametrize("rpc", ["GetMediaInfo", "ReadMedia"])
async def test_a_hash_opens_only_ones_own_uploads(house: GuardedHouse, rpc: str) -> None:
    """Whoever learns the hash of a file gets it by that only if they brought it themselves."""
    method = f"/{GENERATION}/{rpc}"
    request = type(request_of(method, house.made))
    got = set()
    for name in PEOPLE:
        for kind in ("sha256", "upload_sha256"):
            key = generation_pb2.MediaKey(sha256=getattr(house.made, kind))
            channel = house.channels["generation"]
            answer = await ask(channel, method, request(key=key), house.keys[name])
            assert answer.code in ("OK", "NOT_FOUND"), f"{name} {kind}: {answer.code}"
            if answer.code == "OK":
                got.add((name, kind))
    services = {("neighbour", "sha256"), ("neighbour", "upload_sha256")}
    assert got == {("lea", "upload_sha256"), *services}


@pytest.mark.parametrize("rpc", ["GetPatterns", "GetStatistics"])
async def test_figures_tell_nothing_of_what_is_not_seen(house: GuardedHouse, rpc: str) -> None:
    """Figures of Lea's session are, for another class's teacher, those of nothing."""
    method = f"/{TRACKER}/{rpc}"
    request = type(request_of(method, house.made))

    async def figures(name: str, session: str) -> bytes:
        wanted = request(session_id=session)
        answer = await ask(house.channels["tracker"], method, wanted, house.keys[name])
        assert answer.code == "OK"
        return answer.data

    lea = house.made.session_id
    assert await figures("tess", lea) == await figures("tess", "nobody's")
    assert await figures("tom", lea) != await figures("tom", "nobody's")


def routes() -> list[tuple[str, str]]:
    """Return method and path of all routes of the gateway but what is the same for everybody."""
    modules = [
        import_module(f"gateway.routes.{module.name}")
        for module in pkgutil.iter_modules(gateway.routes.__path__)
    ]
    routers = [*PAGES, *(module.router for module in modules if hasattr(module, "router"))]
    found = [
        (method, route.path)
        for router in routers
        for route in router.routes
        for method in sorted(route.methods - {"HEAD"})
    ]
    return [(method, path) for method, path in found if path not in OPEN_PATHS]


def path_to(path: str, made: Made) -> str:
    """Return a path that names Lea's things."""
    names = {
        "execution_id": made.execution_id,
        "item_id": made.item_id,
        "sha256": made.upload_sha256,
        "job_id": made.job_id,
        "session_id": made.session_id,
        "version": "1",
    }
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: names.get(found[1], "dada"), path)


async def asked(browser: httpx.AsyncClient, method: str, path: str) -> tuple[int, bytes]:
    """Return status and the beginning of what a route answers; of streams, only whether they do."""
    body: Any = {} if method == "POST" and path.startswith("/api") else None
    data = b""
    async with browser.stream(method, path, json=body) as response:
        if "event-stream" in response.headers.get("content-type", ""):
            return response.status_code, data
        async for part in response.aiter_bytes():
            data += part
            if len(data) > ENOUGH_BYTES:
                break
    return response.status_code, data


ENOUGH_BYTES = 100_000


@pytest.mark.parametrize("name", ["", "leo", "tess"])
async def test_every_route_for_those_who_may_not_see(house: GuardedHouse, name: str) -> None:
    """Neither a new browser, a classmate nor another class's teacher gets anything of Lea's."""
    faults = []
    async with house.browser(name) as browser:
        for method, path in routes():
            status, data = await asked(browser, method, path_to(path, house.made))
            if path.startswith(FOR_PEOPLE) or path == "/":
                right = status in (404, 422) or "{" not in path
            elif name == "tess":
                right = status not in (401, 500)
            else:
                right = status == 403 if name else status in (303, 401)
            if not right or any(mark.encode() in data for mark in MARKS) or status >= 500:
                faults.append(f"{method} {path}: {status}")
    assert not faults, "\n".join(faults)


async def test_routes_for_her_who_made_it(house: GuardedHouse) -> None:
    """Lea gets what is hers by every route that is there for people."""
    async with house.browser("lea") as browser:
        for method, path in routes():
            if method == "GET" and path.startswith(FOR_PEOPLE) and "programs" not in path:
                status, _ = await asked(browser, method, path_to(path, house.made))
                assert status == 200, path


@pytest.mark.parametrize(
    ("name", "method", "path", "body"),
    [
        ("tom", "POST", "/api/research/import", None),
        ("tom", "POST", "/api/research/erase", {"user_id": "nobody-of-this-name"}),
        ("rosa", "POST", "/api/research/erase", {"user_id": "nobody-of-this-name"}),
        ("tom", "GET", "/api/research/erasures/none", None),
    ],
)
async def test_staff_at_the_page_have_the_rights_of_the_table(
    house: GuardedHouse, name: str, method: str, path: str, body: Any
) -> None:
    """What a role may not call it may not do by HTTP either, though the gateway itself may."""
    async with house.browser(name) as browser:
        answer = await browser.request(method, path, json=body)
    assert (answer.status_code, answer.json()["reason"]) == (403, "RPC_NOT_ALLOWED")


async def test_the_tables_of_this_test_name_rpcs() -> None:
    """An RPC that names an execution, a job, a session or a file stands in a table above."""
    known = {*OWNED, *LISTS, *HARMLESS, *UNOWNED}
    assert known <= methods().keys()
    naming = {
        name
        for name, method in methods().items()
        if NAMES & set(method.input_type.fields_by_name) and "ExportWorkflow" not in name
    }
    assert naming <= known

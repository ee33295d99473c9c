"""Several orchestrators, one tracker: whichever a call reaches, the owner answers it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio

from orchestrator.replicas import PASSED_ON
from servicekit.errors import remote_error
from servicekit.principals import Role, identity_metadata
from stellwerk.common.v1 import types_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.tracker.v1 import execution_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from tests.integration.house import House, another_orchestrator, item_types, open_house
from tests.integration.one_house import model_server, ollama
from tests.integration.replicas import LEASE_SECONDS, Replica, open_replicas
from tests.integration.steps import AWAITING, Person
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from stellwerk.orchestrator.v1 import event_pb2
    from tests.fakes.ollama import FakeOllama

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
__all__ = ["model_server", "ollama"]

IDEA = "Eine Blume auf der Wiese"
NOWHERE = "127.0.0.1:1"
CALL: dict[str, Any] = {"timeout": 90.0}
COMPLETED = execution_pb2.EXECUTION_STATE_COMPLETED
CANCELLED = execution_pb2.EXECUTION_STATE_CANCELLED
INTERRUPTED = execution_pb2.EXECUTION_STATE_INTERRUPTED
SETTLED_SECONDS = LEASE_SECONDS + 60


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(
    tmp_path_factory: pytest.TempPathFactory, model_server: FakeOllama
) -> AsyncIterator[list[Replica]]:
    """A deployment with three replicas."""
    folder = tmp_path_factory.mktemp("replicas")
    async with (
        open_house(folder, model_server.url, lease_seconds=LEASE_SECONDS) as house,
        open_replicas(house, folder) as replicas,
    ):
        yield replicas


@pytest_asyncio.fixture(loop_scope="module")
async def abc(running: list[Replica]) -> list[Replica]:
    """The three, all alive."""
    for one in running:
        one.revive()
    for one in running:
        await one.serving()
    return running


def game(**fields: Any) -> pb2.RunExecutionRequest:
    """Ask for a telephone game without a picture: eight calls of the model, one by one."""
    return pb2.RunExecutionRequest(
        config="stillepost",
        texts=[IDEA],
        text_only=True,
        safety_level=types_pb2.SAFETY_LEVEL_ADULT,
        language="de",
        **fields,
    )


async def begin(where: House) -> str:
    """Start a run that goes on without its caller."""
    call = where.orchestrator.RunExecution(game(), **CALL)
    execution_id = (await anext(aiter(call))).event.execution_id
    call.cancel()
    return execution_id


async def watched(where: House, execution_id: str) -> list[event_pb2.ExecutionEvent]:
    """Watch from the beginning to the end."""
    request = pb2.WatchExecutionRequest(execution_id=execution_id)
    call = where.orchestrator.WatchExecution(request, **CALL)
    return [response.event async for response in call]


async def look(where: House, execution_id: str, **call: Any) -> event_pb2.Execution:
    """Ask where an execution stands."""
    request = pb2.GetExecutionRequest(execution_id=execution_id)
    return (await where.orchestrator.GetExecution(request, **{**CALL, **call})).execution


async def cancel(where: House, execution_id: str) -> event_pb2.Execution:
    """Cancel an execution."""
    request = pb2.CancelExecutionRequest(execution_id=execution_id)
    return (await where.orchestrator.CancelExecution(request, **CALL)).execution


async def resumed(where: House, execution_id: str) -> list[event_pb2.ExecutionEvent]:
    """Resume an execution and return what happens."""
    request = pb2.ResumeExecutionRequest(execution_id=execution_id)
    call = where.orchestrator.ResumeExecution(request, **CALL)
    return [response.event async for response in call]


async def refused(work: Awaitable[object]) -> str:
    """Return the reason for which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await work
    return remote_error(caught.value).reason


async def allowed(work: Callable[[], Awaitable[Any]], *not_yet: str) -> Any:
    """Return the result of a call as soon as it is no longer refused for one of the reasons."""

    async def ask() -> list[Any]:
        try:
            return [await work()]
        except grpc.aio.AioRpcError as exc:
            assert remote_error(exc).reason in not_yet
            return []

    (result,) = await eventually(ask, within_seconds=SETTLED_SECONDS)
    return result


async def known(person: Person) -> None:
    """Wait until the tracker knows what a person waits at, so that it outlives the owner."""

    async def is_known() -> bool:
        request = tracker_pb2.GetExecutionRequest(execution_id=person.execution_id)
        try:
            record = (await person.house.tracker.GetExecution(request)).record
        except grpc.aio.AioRpcError as exc:
            assert exc.code() is grpc.StatusCode.NOT_FOUND
            return False
        items = {item.item_id for item in record.items}
        return record.summary.state == AWAITING and person.head in items

    await eventually(is_known)


def numbers(events: list[event_pb2.ExecutionEvent]) -> list[int]:
    """Return the numbers of the items that were shown."""
    return [event.sequence_number for event in events if event.HasField("item_recorded")]


async def test_a_run_is_watched_through_every_replica(
    abc: list[Replica], ollama: FakeOllama
) -> None:
    """Whoever watches, wherever, sees each item once, the text as it grows, and the end."""
    a, b, c = (one.house for one in abc)
    ollama.token_delay_seconds = 0.02
    execution_id = await begin(a)
    for events in await asyncio.gather(*(watched(where, execution_id) for where in (a, b, c))):
        assert numbers(events) == list(range(1, len(numbers(events)) + 1))
        assert events[-1].state_changed.state == COMPLETED
        assert any(event.HasField("text_delta") for event in events)


async def test_a_run_is_cancelled_through_another_replica(
    abc: list[Replica], ollama: FakeOllama
) -> None:
    """Cancelling reaches the owner; strangers are told what they would be told there."""
    a, b, c = (one.house for one in abc)
    ollama.token_delay_seconds = 0.5
    execution_id = await begin(a)
    stranger = tuple(identity_metadata(user="b", session="tisch-9", role=Role.LEARNER))
    assert await refused(look(b, execution_id, metadata=stranger)) == "EXECUTION_NOT_FOUND"
    assert (await look(b, execution_id)).state == execution_pb2.EXECUTION_STATE_RUNNING
    assert (await cancel(c, execution_id)).state == CANCELLED
    assert (await look(b, execution_id)).state == CANCELLED
    assert item_types(await a.record(execution_id)).count("pipeline_cancelled") == 1


async def test_steps_are_taken_through_any_replica(abc: list[Replica], ollama: FakeOllama) -> None:
    """A person's steps may reach a different replica each; the tracker knows whose turn it is."""
    a, b, c = (one.house for one in abc)
    person = await Person(a).start(texts=[IDEA])
    person.house = b
    change = await person.edit_of("texts[0]", "Zwei Blumen")
    await person.intercept(edits=[change])
    assert person.state == AWAITING

    async def is_listed() -> bool:
        request = tracker_pb2.ListExecutionsRequest(states=[AWAITING])
        page = await a.tracker.ListExecutions(request)
        return person.execution_id in {one.execution_id for one in page.executions}

    await eventually(is_listed)
    person.house = c
    await person.optimize()
    stale = Person(b, execution_id=person.execution_id, head="old")
    assert await refused(stale.intercept()) == "STEP_STALE"
    person.house = b
    await person.render()
    assert person.state == COMPLETED
    assert {item.epoch for item in (await a.record(person.execution_id)).items} == {1}


async def test_a_key_runs_once_across_replicas(abc: list[Replica], ollama: FakeOllama) -> None:
    """The same key at once on all three: one execution, and everybody sees all of it."""
    ollama.token_delay_seconds = 0.02

    async def run(where: House) -> list[event_pb2.ExecutionEvent]:
        call = where.orchestrator.RunExecution(game(idempotency_key="einmal"), **CALL)
        return [response.event async for response in call]

    seen = await asyncio.gather(*(run(one.house) for one in abc))
    assert len({event.execution_id for events in seen for event in events}) == 1
    assert len(ollama.requests) == 8
    for events in seen:
        assert numbers(events) == list(range(1, len(numbers(events)) + 1))
        assert events[-1].state_changed.state == COMPLETED


async def test_what_a_dead_replica_ran_goes_on_elsewhere(
    abc: list[Replica], ollama: FakeOllama
) -> None:
    """After its lease a run is resumed, a step taken, a cancel done, by whoever is asked."""
    a, (b, c) = abc[0].house, (one.house for one in abc[1:])
    waiting = await (await Person(a).start(texts=[IDEA])).intercept()
    unwanted = await Person(a).start(texts=[IDEA])
    for person in (waiting, unwanted):
        await known(person)
    ollama.token_delay_seconds = 0.1
    asked = len(ollama.requests)
    execution_id = await begin(a)
    watching = asyncio.create_task(watched(b, execution_id))
    await eventually(lambda: len(ollama.requests) >= asked + 3)
    await abc[0].kill()
    ollama.token_delay_seconds = 0.0
    waiting.house = b
    assert await refused(waiting.optimize()) == "OWNER_UNAVAILABLE"
    seen = await watching
    assert numbers(seen) == list(range(1, len(numbers(seen)) + 1))
    assert seen[-1].state_changed.state == INTERRUPTED
    await asyncio.gather(
        goes_on(execution_id, b, c), steps_go_on(waiting, c), is_ended(unwanted, b)
    )


async def goes_on(execution_id: str, b: House, c: House) -> None:
    """Resume a run through one replica and look at all of it through the other."""
    events = await allowed(lambda: resumed(b, execution_id), "LEASE_HELD")
    assert events[-1].state_changed.state == COMPLETED
    record = await b.record(execution_id)
    assert {item.epoch for item in record.items} == {1, 2}
    passes = [item for item in record.items if item.item_type == "interception_iteration"]
    assert [item.stage_iteration for item in passes] == list(range(1, 9))
    assert numbers(await watched(c, execution_id)) == list(range(1, len(record.items) + 1))


async def steps_go_on(person: Person, c: House) -> None:
    """Take the next step, which takes the execution up where it waited, and the last elsewhere."""
    await allowed(person.optimize, "OWNER_UNAVAILABLE")
    assert person.state == AWAITING
    person.house = c
    await person.render()
    assert person.state == COMPLETED
    assert item_types(await c.record(person.execution_id)).count("interception_final") == 1


async def is_ended(person: Person, b: House) -> None:
    """Cancel what nobody runs."""
    ended = await allowed(lambda: cancel(b, person.execution_id), "OWNER_UNAVAILABLE")
    assert ended.state == CANCELLED
    record = await b.record(person.execution_id)
    assert item_types(record)[-2:] == ["warning", "pipeline_cancelled"]


async def test_a_call_is_passed_on_once(abc: list[Replica], ollama: FakeOllama) -> None:
    """A marked call goes no further: it is answered from the record, or refused."""
    a, b, _ = (one.house for one in abc)
    person = await Person(a).start(texts=[IDEA])
    await known(person)
    found = await look(b, person.execution_id, metadata=(PASSED_ON,))
    assert (found.state, list(found.drafts)) == (AWAITING, [])
    step = pb2.InterceptRequest(execution_id=person.execution_id, based_on_item_id=person.head)
    call = b.orchestrator.Intercept(step, metadata=(PASSED_ON,), **CALL)
    assert await refused(call.read()) == "OWNER_UNAVAILABLE"

    async def is_passed_on() -> bool:
        return bool((await look(b, person.execution_id)).drafts)

    await eventually(is_passed_on)


async def test_without_the_tracker_only_the_owner_serves(
    abc: list[Replica], ollama: FakeOllama, tmp_path: Path
) -> None:
    """A replica that cannot reach the tracker serves what it runs, and says so of the rest."""
    execution_id = (await Person(abc[0].house).start(texts=[IDEA])).execution_id
    changes = {"tracker_address": NOWHERE, "spool_dir": tmp_path}
    async with another_orchestrator(abc[0].house, **changes) as alone:
        assert await refused(look(alone, execution_id)) == "TRACKER_UNAVAILABLE"
        assert await refused(cancel(alone, execution_id)) == "TRACKER_UNAVAILABLE"
        person = await Person(alone).start(texts=[IDEA])
        assert (await person.look()).state == AWAITING
        await person.intercept()
        assert (await cancel(alone, person.execution_id)).state == CANCELLED

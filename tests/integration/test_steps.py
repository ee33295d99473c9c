"""Step by step: a person edits in between, in one tab or in two."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from servicekit.errors import remote_error
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.tracker.v1 import execution_pb2
from tests.fakes.text_server import Fault
from tests.integration.house import House, item_types, open_house
from tests.integration.one_house import house, model_server, ollama
from tests.integration.steps import AWAITING, Person
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from tests.fakes.ollama import FakeOllama

IDEA = "Eine Blume auf der Wiese"
COMPLETED = execution_pb2.EXECUTION_STATE_COMPLETED


pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["house", "model_server", "ollama"]


async def refused(work: Coroutine[Any, Any, object]) -> str:
    """Return the reason for which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await work
    error = remote_error(caught.value)
    assert error.code in ("FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND")
    return error.reason


async def test_a_run_step_by_step_without_edits_makes_the_picture(
    house: House, ollama: FakeOllama
) -> None:
    """Start, intercept, render: the same items as in one go, and the same end."""
    person = await Person(house).start(texts=[IDEA])
    assert person.state == AWAITING
    await person.intercept()
    assert person.state == AWAITING
    assert (await person.look()).interception_text == "Eine Blume tanzt auf der Wiese."
    await person.render()
    assert person.state == COMPLETED
    record = await house.record(person.execution_id)
    assert "output_image" in item_types(record)
    assert json.loads(record.items[0].metadata_json)["mode"] == "step_by_step"


async def test_an_edit_is_recorded_checked_and_what_the_model_sees(
    house: House, ollama: FakeOllama
) -> None:
    """The model gets the person's words, the record their diff, the verdict comes before."""
    person = await Person(house).start(texts=[IDEA])
    wish = await person.edit_of("texts[0]", "Zwei Blumen auf der Wiese", seconds=7)
    await person.intercept(edits=[wish])
    assert "Zwei Blumen auf der Wiese" in ollama.requests[-1].prompt
    assert IDEA not in ollama.requests[-1].prompt
    edited = "Eine Blume tanzt auf dem Dach."
    change = await person.edit_of("interception", edited)
    await person.render(edits=[change])
    record = await house.record(person.execution_id)
    first, second = (item for item in record.items if item.item_type == "user_edit")
    facts = json.loads(first.metadata_json)
    assert facts["of_item"] == wish.of_item_id
    assert facts["editing_seconds"] == 7
    assert facts["changes"] == [
        {"at": 0, "removed": "Eine", "added": "Zwei"},
        {"at": 5, "removed": "Blume", "added": "Blumen"},
    ]
    assert second.content == edited
    after = item_types(record)[[item.item_id for item in record.items].index(second.item_id) + 1]
    assert after == "stage2_safety_check"
    assert edited in ollama.requests[-1].prompt  # what stage 3 translates


async def test_a_blocked_edit_reaches_no_model(house: House, ollama: FakeOllama) -> None:
    """An edit is an input: a verdict against it ends the run, and no model has seen it."""
    person = await Person(house).start(texts=[IDEA])
    bad = "Der Mörder ermordet alle mit einem Messer, überall Blut."
    await person.intercept(edits=[await person.edit_of("texts[0]", bad)])
    assert person.state == execution_pb2.EXECUTION_STATE_BLOCKED
    assert not [request for request in ollama.requests if "Mörder" in request.prompt]
    record = await house.record(person.execution_id)
    assert item_types(record)[-1] == "pipeline_blocked"
    assert "stage2_blocked" in item_types(record)


async def test_each_step_can_be_repeated_before_the_next(house: House, ollama: FakeOllama) -> None:
    """Intercepting again asks the model again and forgets what was made from the old text."""
    ollama.answer = lambda request: f"Text {len(ollama.requests)}."
    person = await Person(house).start(texts=[IDEA])
    await person.intercept()
    first = await person.text_of("interception")
    await person.intercept()
    second = await person.text_of("interception")
    assert (first.text, second.text) == ("Text 1.", "Text 2.")
    await person.optimize()
    await person.optimize()
    await person.render()
    assert person.state == COMPLETED
    record = await house.record(person.execution_id)
    assert item_types(record).count("interception_final") == 2


async def test_a_second_tab_cannot_overwrite_the_first(house: House, ollama: FakeOllama) -> None:
    """A step that is based on a text of the past is refused with a reason, and changes nothing."""
    person = await Person(house).start(texts=[IDEA])
    other = Person(house, execution_id=person.execution_id, head=person.head)
    old = await other.edit_of("texts[0]", "Ein Haus")
    await person.intercept()
    assert await refused(other.intercept()) == "STEP_STALE"
    other.head = person.head
    new = await person.edit_of("texts[0]", "Ein Baum")
    await person.intercept(edits=[new])
    other.head = person.head
    assert await refused(other.intercept(edits=[old])) == "STEP_STALE"
    assert (await person.text_of("texts[0]")).text == "Ein Baum"


async def test_steps_out_of_order_and_wrong_edits_are_refused(
    house: House, ollama: FakeOllama
) -> None:
    """What cannot be done is said at once, and the person can go on."""
    person = await Person(house).start(texts=[IDEA])
    wrong_place = await person.edit_of("texts[0]", "Ein Haus")
    assert await refused(person.render()) == "STEP_OUT_OF_ORDER"
    assert await refused(person.optimize()) == "STEP_OUT_OF_ORDER"
    empty = pb2.TextEdit(of_item_id=wrong_place.of_item_id, text="  ")
    assert await refused(person.intercept(edits=[empty])) == "EMPTY_TEXT"
    assert await refused(person.intercept(edits=[wrong_place, wrong_place])) == "EDIT_NOT_POSSIBLE"
    unknown = pb2.TextEdit(of_item_id="nothing", text="x")
    assert await refused(person.intercept(edits=[unknown])) == "STEP_STALE"
    await person.intercept()
    assert await refused(person.render(edits=[wrong_place])) == "EDIT_NOT_POSSIBLE"
    assert await refused(person.render(loop_iterations=[2])) == "OUTPUT_UNKNOWN"
    stranger = Person(house, "b", "tisch-2", "nowhere", person.head)
    assert await refused(stranger.intercept()) == "EXECUTION_NOT_FOUND"
    await person.render()
    assert await refused(person.render()) == "EXECUTION_CLOSED"


async def test_only_one_step_runs_at_a_time(house: House, ollama: FakeOllama) -> None:
    """While a step runs, another one is told to wait."""
    person = await Person(house).start(texts=[IDEA])
    ollama.fault = Fault.HANG_BETWEEN
    running = asyncio.create_task(person.intercept())
    await eventually(lambda: ollama.requests)
    other = Person(house, execution_id=person.execution_id, head=person.head)
    assert await refused(other.intercept()) == "STEP_RUNNING"
    request = pb2.CancelExecutionRequest(execution_id=person.execution_id)
    await house.orchestrator.CancelExecution(request)
    assert (await running).state == execution_pb2.EXECUTION_STATE_CANCELLED
    await eventually(lambda: ollama.left_count == 1)


async def test_a_run_in_one_go_takes_no_steps(house: House, ollama: FakeOllama) -> None:
    """Steps belong to executions that were started for them."""
    events = await house.run(user="kind-1", session="tisch-1", config="passthrough", texts=[IDEA])
    person = Person(house, execution_id=events[-1].execution_id, head="x")
    assert await refused(person.intercept()) == "EXECUTION_CLOSED"


async def test_time_to_edit_runs_out(tmp_path: Path, ollama: FakeOllama) -> None:
    """Whoever goes away for too long finds the execution cancelled, with a word why."""
    async with open_house(tmp_path, ollama.url, edit_seconds=0.3) as house:
        person = await Person(house).start(texts=[IDEA])
        record = await house.record(person.execution_id)
        assert record.items[-1].item_type == "pipeline_cancelled"
        assert json.loads(record.items[-1].metadata_json)["reason"] == "EDIT_TIME_OVER"
        assert await refused(person.intercept()) == "EXECUTION_CLOSED"


async def test_chosen_outputs_are_rendered(house: House, ollama: FakeOllama) -> None:
    """Of several outputs a person may choose; the others are not made."""
    person = await Person(house).start(config="image_comparison", texts=[IDEA])
    await person.intercept()
    await person.render(loop_iterations=[2])
    assert person.state == COMPLETED
    record = await house.record(person.execution_id)
    made = [item.loop_iteration for item in record.items if item.item_type == "output_image"]
    assert made == [2]


async def test_a_cancelled_execution_awaits_nothing(house: House, ollama: FakeOllama) -> None:
    """Cancelling reaches an execution that waits for its person."""
    person = await Person(house).start(texts=[IDEA])
    request = pb2.CancelExecutionRequest(execution_id=person.execution_id)
    response = await house.orchestrator.CancelExecution(request)
    assert response.execution.state == execution_pb2.EXECUTION_STATE_CANCELLED
    record = await house.record(person.execution_id)
    assert item_types(record)[-1] == "pipeline_cancelled"

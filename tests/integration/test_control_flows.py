"""Control flows in real runs: what each chunk's model receives, and what the record keeps."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from orchestrator.configs import shipped_configs_dir
from stellwerk.common.v1 import types_pb2
from stellwerk.tracker.v1 import execution_pb2
from tests.fakes.ollama import FakeOllama
from tests.integration.house import House, item_types, no_faults, open_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADULT = types_pb2.SAFETY_LEVEL_ADULT
NOT_FOR_KIDS = "Der Mörder ermordet alle mit einem Messer, überall Blut."


def chunk(template: str, **more: Any) -> dict[str, Any]:
    """Return a chunk that says just this."""
    return {"kind": "prompt", "role": "interception", "template": template, **more}


def config(pipeline: str, **more: Any) -> dict[str, Any]:
    """Return an interception config."""
    return {"name": pipeline, "description": "For a test.", "pipeline": pipeline, **more}


FILES: dict[str, dict[str, Any]] = {
    "chunks/first.json": chunk("first: {{PREVIOUS_OUTPUT}}"),
    "chunks/second.json": chunk("second: {{PREVIOUS_OUTPUT}} of {{INPUT_TEXT}}"),
    "chunks/apart.json": chunk("apart: {{PREVIOUS_OUTPUT}}", values=["SUBJECT", "MOOD"]),
    "chunks/place.json": chunk("place: {{SUBJECT}} from {{PREVIOUS_OUTPUT}}"),
    "chunks/sound.json": chunk("sound: {{MOOD}} from {{PREVIOUS_OUTPUT}}"),
    "chunks/join.json": chunk("join: {{PLACE}} and {{SOUND}}"),
    "chunks/happy.json": chunk("happy: {{PREVIOUS_OUTPUT}}"),
    "chunks/sketch.json": {**chunk("code: {{PREVIOUS_OUTPUT}}"), "role": "coding"},
    "pipelines/in_order.json": {
        "control_flow": {"kind": "sequence", "chunks": ["first", "second"]}
    },
    "pipelines/passes.json": {
        "control_flow": {"kind": "iterative", "chunks": ["first", "second"], "iterations": 2}
    },
    "pipelines/side_by_side.json": {
        "input_requirements": {"texts": 2},
        "control_flow": {
            "kind": "parallel",
            "chunks": ["apart"],
            "branches": [
                {"name": "PLACE", "chunks": ["place"]},
                {"name": "SOUND", "input_text": 2, "chunks": ["sound"]},
            ],
            "join": {"chunk": "join"},
        },
        "output_requests": [
            {"output": "embedded_image", "prompt": "a picture of {{SUBJECT}}"},
            {"output": "embedded_sound", "prompt": "a sound that is {{MOOD}}"},
        ],
    },
    "pipelines/template_join.json": {
        "control_flow": {
            "kind": "parallel",
            "branches": [
                {"name": "ONE", "chunks": ["first"]},
                {"name": "TWO", "chunks": ["happy"]},
            ],
            "join": {"template": "{{ONE}} + {{TWO}}"},
        }
    },
    "pipelines/either.json": {
        "control_flow": {
            "kind": "conditional",
            "chunks": ["apart"],
            "cases": [
                {"when": {"value": "MOOD", "equals": "happy"}, "chunks": ["happy"]},
                {"when": {"value": "INPUT_LENGTH", "at_least": 100}, "chunks": []},
            ],
            "otherwise": ["first", "second"],
        }
    },
    "output/sketch.json": {
        "name": "Sketch",
        "description": "Code.",
        "media_type": "text",
        "backend": "text",
        "chunk": "sketch",
        "prompt_languages": ["de", "en"],
    },
    "interception/in_order.json": config("in_order"),
    "interception/passes.json": config("passes"),
    "interception/side_by_side.json": config("side_by_side"),
    "interception/template_join.json": config("template_join"),
    "interception/either.json": config("either"),
}
VALUES = '{"subject": "a cat", "mood": "calm"}'


def answer(request: dict[str, Any]) -> str:
    """Answer with what was asked; the chunk that takes apart gets its JSON, in a fence."""
    prompt: str = request["messages"][-1]["content"]
    if prompt.startswith("apart:"):
        return f"Here it is:\n```json\n{VALUES}\n```"
    if prompt.startswith("code:"):
        return "Sure!\n```js\nfunction draw() { circle(1, 2, 3); }\n```\nHave fun."
    return f"[{prompt}]"


# One deployment for all: starting it takes longer than what is tested.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def model_server() -> AsyncIterator[FakeOllama]:
    """A model that repeats what it is asked."""
    async with FakeOllama() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(
    tmp_path_factory: pytest.TempPathFactory, model_server: FakeOllama
) -> AsyncIterator[House]:
    """A deployment with branching configs beside the shipped ones."""
    root = tmp_path_factory.mktemp("house")
    folder = root / "configs"
    shutil.copytree(shipped_configs_dir(), folder)
    for name, value in FILES.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    async with open_house(root, model_server.url, configs_dir=folder) as running:
        yield running


@pytest.fixture
def ollama(model_server: FakeOllama) -> FakeOllama:
    """The model server, as it was at the beginning."""
    model_server.answer = answer
    model_server.requests.clear()
    return model_server


async def ran(house: House, **fields: Any) -> execution_pb2.ExecutionRecord:
    """Run for adults to a good end and return the record."""
    events = await house.run(**{"safety_level": ADULT, "language": "en", **fields})
    return await house.record(no_faults(events))


def texts_of(record: execution_pb2.ExecutionRecord, item_type: str) -> list[str]:
    """Return the contents of a type of items."""
    return [item.content for item in record.items if item.item_type == item_type]


async def test_chunks_in_order_see_each_other(house: House, ollama: FakeOllama) -> None:
    """Each chunk gets the answer before it, and each answer is an item."""
    record = await ran(house, config="in_order", texts=["a cat"])
    assert texts_of(record, "interception_iteration") == ["[first: a cat]"]
    assert texts_of(record, "interception_final") == ["[second: [first: a cat] of a cat]"]


async def test_a_pass_of_two_chunks_is_one_item(house: House, ollama: FakeOllama) -> None:
    """It holds the way to it."""
    record = await ran(house, config="passes", texts=["x"])
    one = "[second: [first: x] of x]"
    assert texts_of(record, "interception_iteration") == [one, f"[second: [first: {one}] of x]"]
    first = next(item for item in record.items if item.item_type == "interception_iteration")
    assert json.loads(first.metadata_json)["steps"][0]["text"] == "[first: x]"


async def test_branches_run_side_by_side_and_are_joined(house: House, ollama: FakeOllama) -> None:
    """Branches start from values and from the second text; outputs get prompts of their own."""
    record = await ran(house, config="side_by_side", texts=["a cat", "a bell"])
    prompts = [request.prompt for request in ollama.requests]
    assert {"place: a cat from a cat", "sound: calm from a bell"} <= set(prompts)
    joined = "[join: [place: a cat from a cat] and [sound: calm from a bell]]"
    assert texts_of(record, "interception_final") == [joined]
    passes = [item for item in record.items if item.item_type == "interception_iteration"]
    assert sorted(item.stage_iteration for item in passes) == [1, 2, 3]
    fed = [
        item.content
        for item in record.items
        if item.item_type == "pipeline_input_text" and item.stage == 4
    ]
    assert sorted(fed) == ["a picture of a cat", "a sound that is calm"]
    assert {"output_image", "output_audio"} <= set(item_types(record))
    final = next(item for item in record.items if item.item_type == "interception_final")
    assert json.loads(final.metadata_json)["values"]["SUBJECT"] == "a cat"


async def test_branches_are_joined_by_a_template(house: House, ollama: FakeOllama) -> None:
    """No model is asked for that."""
    record = await ran(house, config="template_join", texts=["x"])
    assert texts_of(record, "interception_final") == ["[first: x] + [happy: x]"]


async def test_the_first_case_that_holds_runs(house: House, ollama: FakeOllama) -> None:
    """Without one, what stands under otherwise; without chunks, the text passes."""
    record = await ran(house, config="either", texts=["x"])
    assert texts_of(record, "interception_final") == ["[second: [first: x] of x]"]
    ollama.answer = lambda request: answer(request).replace("calm", "Happy")
    record = await ran(house, config="either", texts=["x"])
    assert texts_of(record, "interception_final") == ["[happy: x]"]
    ollama.answer = answer
    long = "a cat " * 30
    record = await ran(house, config="either", texts=[long])
    assert texts_of(record, "interception_final") == [long]


async def test_code_is_delivered_as_a_text(house: House, ollama: FakeOllama) -> None:
    """It is taken out of the words around it; nobody runs it."""
    events = await house.run(
        config="in_order", texts=["x"], outputs=["sketch"], language="en", safety_level=ADULT
    )
    code = "function draw() { circle(1, 2, 3); }"
    ready = next(event.output_ready.output for event in events if event.HasField("output_ready"))
    assert ready.text == code
    record = await house.record(no_faults(events))
    assert texts_of(record, "output_code") == [code]
    assert record.summary.outputs_generated == 1


async def test_a_blocked_branch_ends_the_run(house: House, ollama: FakeOllama) -> None:
    """A text that minors may not see ends the run wherever it was written, and is not shown."""
    ollama.answer = lambda request: (
        NOT_FOR_KIDS if "happy" in str(request["messages"]) else answer(request)
    )
    events = await house.run(config="template_join", texts=["x"], language="en")
    assert events[-1].state_changed.state == execution_pb2.EXECUTION_STATE_BLOCKED
    assert not [event for event in events if "Mörder" in str(event)]
    record = await house.record(events[-1].execution_id)
    assert NOT_FOR_KIDS in texts_of(record, "interception_iteration")


async def test_an_answer_without_the_values_ends_the_run(house: House, ollama: FakeOllama) -> None:
    """It ends with a reason, and the answer is in the record."""
    ollama.answer = "I would rather not."
    events = await house.run(config="either", texts=["x"], language="en", safety_level=ADULT)
    assert events[-1].state_changed.reason == "ANSWER_NOT_JSON"
    record = await house.record(events[-1].execution_id)
    assert texts_of(record, "interception_iteration") == ["I would rather not."]

"""What every shipped chunk says is what its model gets, whatever a learner has written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stellwerk.common.v1 import types_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from tests.integration.house import no_faults
from tests.integration.one_house import house, model_server, ollama
from tests.integration.replay import Replay, canonical, sampling_in
from tests.integration.steps import Person

if TYPE_CHECKING:
    from stellwerk.tracker.v1 import execution_pb2
    from tests.fakes.ollama import FakeOllama
    from tests.integration.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["house", "model_server", "ollama"]

ADULT = types_pb2.SAFETY_LEVEL_ADULT
ODD = (
    'Ein "Haus"\n\nmit {{CONTEXT}}, {{INPUT_TEXT}} und {Klammern} }}{{ \\ \\n %s ${x} \\1\n\n'
    "بيت \u202eRTL\u202c שלום 👩‍👩‍👧 🌱 „Türen“\ttab"
)
LONGEST = (ODD + " lang" * 4_000)[:20_000]


async def as_recorded(
    house: House, ollama: FakeOllama, record: execution_pb2.ExecutionRecord
) -> None:
    """Check that what came to the model server is what the record says and the plan demands."""
    request = tracker_pb2.GetPlanRequest(execution_id=record.summary.execution_id)
    plan = (await house.tracker.GetPlan(request)).plan.plan_json
    received = {
        (canonical(each.json["messages"]), canonical(sampling_in(each.json["options"])))
        for each in ollama.requests
    }
    assert Replay(record, plan).calls == received


@pytest.mark.parametrize("text", [ODD, LONGEST], ids=["odd", "20000 characters"])
@pytest.mark.parametrize(
    ("config", "fields"),
    [
        ("dada", {"text_only": True}),  # manipulate
        ("stillepost", {"text_only": True}),  # telephone
        ("dada", {"outputs": ["embedded_image"]}),  # translation
    ],
)
async def test_every_byte_arrives(
    house: House, ollama: FakeOllama, text: str, config: str, fields: dict[str, Any]
) -> None:
    """Braces, quotes, backslashes, right-to-left, emoji, and as many characters as may be."""
    ollama.answer = lambda request: request["messages"][-1]["content"][-300:]
    parameters = {} if fields.get("text_only") else {"width": "64", "height": "64"}
    events = await house.run(
        config=config,
        texts=[text],
        language="de",
        safety_level=ADULT,
        parameters=parameters,
        **fields,
    )
    record = await house.record(no_faults(events))
    assert text in ollama.requests[0].json["messages"][-1]["content"]
    await as_recorded(house, ollama, record)


async def test_phase_2_is_told_its_instruction(house: House, ollama: FakeOllama) -> None:
    """The optimization chunk gets the output's own instruction and the text of phase 1."""
    ollama.answer = lambda request: request["messages"][-1]["content"][-300:]
    person = await Person(house, "local", "local").start(
        texts=[ODD], outputs=["sdxl"], language="de", safety_level=ADULT
    )
    await person.intercept()
    await person.optimize()
    request = pb2.CancelExecutionRequest(execution_id=person.execution_id)
    await house.orchestrator.CancelExecution(request)
    assert len(ollama.requests) == 2
    await as_recorded(house, ollama, await house.record(person.execution_id))

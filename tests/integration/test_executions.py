"""Executions through the orchestrator's door, with the real services behind it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import grpc
import pytest

from orchestrator.configs import load_configs, render, shipped_configs_dir
from orchestrator.journal import new_id
from servicekit.errors import remote_error
from servicekit.principals import Role, identity_metadata
from stellwerk.common.v1 import types_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.tracker.v1 import execution_pb2, tracker_service_pb2
from tests.fakes.text_server import Fault
from tests.integration.house import House, item_types, no_faults, open_house
from tests.integration.one_house import house, model_server, ollama
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.fakes.ollama import FakeOllama

IDEA = "Eine Blume auf der Wiese"
ADULT = types_pb2.SAFETY_LEVEL_ADULT


pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["house", "model_server", "ollama"]


async def test_record_of_a_plain_run_is_in_order(house: House, ollama: FakeOllama) -> None:
    """A run for kids records every step once, in the order in which it happened."""
    events = await house.run(config="dada", texts=[IDEA])
    record = await house.record(no_faults(events))
    assert item_types(record) == [
        "pipeline_start",
        "stage_transition",
        "user_input_text",
        "stage1_safety_check",
        "stage_transition",
        "pipeline_input_text",
        "interception_final",
        "stage2_safety_check",
        "stage_transition",
        "translation_result",
        "stage3_safety_check",
        "stage_transition",
        "pipeline_input_text",
        "output_image",
        "stage4_safety_check_image",
        "stage_transition",
        "pipeline_complete",
    ]
    assert [item.sequence_number for item in record.items] == list(range(1, 18))


async def test_model_receives_the_rendered_template_byte_for_byte(
    house: House, ollama: FakeOllama
) -> None:
    """What the chunk says is what the model gets: texts, temperature, top_p, max tokens."""
    idea = 'Ein "Haus"\n\nmit {{CONTEXT}} und \\ und {Klammern} 🌱'
    await house.run(config="dada", texts=[idea], text_only=True, language="de")
    configs = load_configs(shipped_configs_dir())
    chunk = configs.chunks["manipulate"]
    context = configs.interception["dada"].context
    assert context is not None
    values = {
        "INPUT_TEXT": idea,
        "PREVIOUS_OUTPUT": idea,
        "CONTEXT": context.text_for("de"),
        "LANGUAGE": "Deutsch",
        "SOURCE_LANGUAGE": "Deutsch",
        "TARGET_LANGUAGE": "Deutsch",
    }
    expected = []
    if chunk.system is not None:
        expected.append({"role": "system", "content": render(chunk.system.text_for("de"), values)})
    expected.append({"role": "user", "content": render(chunk.template.text_for("de"), values)})
    sent = ollama.requests[0].json
    assert sent["messages"] == expected
    assert sent["options"]["temperature"] == chunk.parameters.temperature
    assert sent["options"]["top_p"] == chunk.parameters.top_p
    assert sent["options"]["num_predict"] == chunk.parameters.max_tokens


async def test_forty_runs_at_once_share_nothing(house: House, ollama: FakeOllama) -> None:
    """No foreign word reaches a prompt, no item a foreign record."""
    token = re.compile(r"Wort\d+wort")
    ollama.answer = lambda request: " ".join(
        token.findall(" ".join(message["content"] for message in request["messages"]))
    )
    configs = ["dada", "bauhaus", "overdrive", "user_defined", "image_comparison"]

    async def one(number: int) -> tuple[str, str]:
        mine = f"Wort{number}wort"
        config = configs[number % len(configs)]
        # Small pictures: forty large ones would be a test of patience.
        small = {"parameters": {"width": "64", "height": "64"}}
        own = {"context": f"Schreibe {mine} dazu."} if config == "user_defined" else small
        events = await house.run(
            user=f"kind-{number}",
            session=f"tisch-{number}",
            config=config,
            texts=[f"Ein Garten mit {mine}"],
            language="de",
            **own,
        )
        return no_faults(events), mine

    runs = await asyncio.gather(*(one(number) for number in range(40)))
    for request in ollama.requests:
        assert len(set(token.findall(request.prompt))) == 1
    for execution_id, mine in runs:
        record = await house.record(execution_id)
        text = str(record)
        assert set(token.findall(text)) == {mine}
        assert {item.execution_id for item in record.items} == {execution_id}
        number = mine.removeprefix("Wort").removesuffix("wort")
        assert record.summary.user_id == f"kind-{number}"
        assert record.summary.session_id == f"tisch-{number}"


async def test_adults_see_text_while_it_is_written_minors_after_its_check(
    house: House, ollama: FakeOllama
) -> None:
    """Adults get tokens as they come; for minors the verdict comes first."""

    def order(events: list[Any]) -> list[str]:
        kinds = [event.WhichOneof("event") for event in events]
        return [kind for kind in kinds if kind in ("text_delta", "verdict_reached")]

    adult = await house.run(config="dada", texts=[IDEA], text_only=True, safety_level=ADULT)
    kids = await house.run(config="dada", texts=[IDEA], text_only=True)
    assert order(adult).count("text_delta") > 2
    assert order(kids).count("text_delta") == 1
    text = next(event for event in kids if event.HasField("text_delta"))
    assert text.text_delta.text == "Eine Blume tanzt auf der Wiese."


async def test_blocked_machine_text_is_recorded_and_never_shown(
    house: House, ollama: FakeOllama
) -> None:
    """The record keeps what a child may not see; no event carries it."""
    ollama.answer = "Der Mörder ermordet alle mit einem Messer, überall Blut."
    events = await house.run(config="dada", texts=[IDEA])
    assert events[-1].state_changed.state == execution_pb2.EXECUTION_STATE_BLOCKED
    assert not [event for event in events if "Mörder" in str(event)]
    record = await house.record(events[-1].execution_id)
    final = next(item for item in record.items if item.item_type == "interception_final")
    assert final.content == ollama.answer
    assert json.loads(final.metadata_json)["withheld"] is True
    assert item_types(record)[-1] == "pipeline_blocked"
    assert "stage2_blocked" in item_types(record)


async def test_blocked_output_gets_a_text_in_its_place(house: House, ollama: FakeOllama) -> None:
    """A block in stage 3 skips this output, and the run ends BLOCKED with an explanation."""

    def answer(request: dict[str, Any]) -> str:
        prompt = request["messages"][-1]["content"]
        return "a man kills everybody with a knife" if "Blume tanzt" in prompt else "Blume tanzt"

    ollama.answer = answer
    events = await house.run(config="dada", texts=[IDEA])
    assert events[-1].state_changed.state == execution_pb2.EXECUTION_STATE_BLOCKED
    record = await house.record(events[-1].execution_id)
    types = item_types(record)
    assert "stage3_blocked" in types
    assert "output_image" not in types
    stand_in = next(item for item in record.items if item.item_type == "output_text_alternative")
    assert "Blume tanzt" in stand_in.content


async def test_watching_goes_on_after_a_token(house: House, ollama: FakeOllama) -> None:
    """Whoever comes back with a token gets every later item once, running or finished."""
    events = await house.run(config="dada", texts=[IDEA])
    execution_id = no_faults(events)
    last = events[-1].sequence_number
    for after in range(last + 1):
        call = house.orchestrator.WatchExecution(
            pb2.WatchExecutionRequest(
                execution_id=execution_id, after_epoch=1, after_sequence=after
            )
        )
        seen = [
            response.event.item_recorded.item.sequence_number
            async for response in call
            if response.event.HasField("item_recorded")
        ]
        assert seen == list(range(after + 1, last + 1))


async def test_cancel_reaches_the_model(house: House, ollama: FakeOllama) -> None:
    """A cancelled run ends at once, and the stream from the model is closed."""
    ollama.fault = Fault.HANG_BETWEEN
    running = asyncio.create_task(house.run(config="dada", texts=[IDEA], session="s"))
    await eventually(lambda: ollama.requests)
    execution_id = await _only_running(house)
    await house.orchestrator.CancelExecution(pb2.CancelExecutionRequest(execution_id=execution_id))
    events = await running
    assert events[-1].state_changed.state == execution_pb2.EXECUTION_STATE_CANCELLED
    await eventually(lambda: ollama.left_count == 1)
    record = await house.record(execution_id)
    assert item_types(record)[-1] == "pipeline_cancelled"
    assert record.summary.state == execution_pb2.EXECUTION_STATE_CANCELLED


async def _only_running(house: House) -> str:
    async def listed() -> str:
        page = await house.tracker.ListExecutions(
            tracker_service_pb2.ListExecutionsRequest(
                states=[execution_pb2.EXECUTION_STATE_RUNNING]
            )
        )
        return page.executions[0].execution_id if page.executions else ""

    return await eventually(listed)


@pytest.mark.parametrize(
    ("on_disconnect", "state", "last_item"),
    [
        (pb2.ON_DISCONNECT_CANCEL, execution_pb2.EXECUTION_STATE_CANCELLED, "pipeline_cancelled"),
        (pb2.ON_DISCONNECT_KEEP, execution_pb2.EXECUTION_STATE_COMPLETED, "pipeline_complete"),
    ],
)
async def test_a_caller_who_leaves(
    house: House,
    ollama: FakeOllama,
    on_disconnect: pb2.OnDisconnect.ValueType,
    state: execution_pb2.ExecutionState.ValueType,
    last_item: str,
) -> None:
    """CANCEL ends the work of a caller who leaves, KEEP finishes it."""
    ollama.first_token_delay_seconds = 0.3
    call = house.orchestrator.RunExecution(
        pb2.RunExecutionRequest(
            config="dada",
            texts=[IDEA],
            text_only=True,
            safety_level=types_pb2.SAFETY_LEVEL_KIDS,
            on_disconnect=on_disconnect,
        )
    )
    first = await anext(aiter(call))
    await eventually(lambda: ollama.requests)
    call.cancel()
    record = await house.record(first.event.execution_id)
    assert record.summary.state == state
    assert item_types(record)[-1] == last_item


async def test_an_idempotency_key_runs_once(house: House, ollama: FakeOllama) -> None:
    """Two calls with one key, at once or later, give the same execution."""
    ask: dict[str, Any] = {
        "config": "dada",
        "texts": [IDEA],
        "text_only": True,
        "idempotency_key": "k-1",
    }
    first, second = await asyncio.gather(house.run(**ask), house.run(**ask))
    third = await house.run(**ask)
    ids = {no_faults(events) for events in (first, second, third)}
    assert len(ids) == 1
    assert len(ollama.requests) == 1
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await house.run(**{**ask, "texts": ["Etwas anderes"]})
    assert remote_error(refused.value).reason == "IDEMPOTENCY_KEY_REUSED"


BAD_REQUESTS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"texts": [""]}, "INVALID_ARGUMENT", "EMPTY_TEXT", "texts[0]"),
    ({"texts": ["a" * 20_001]}, "INVALID_ARGUMENT", "TEXT_TOO_LONG", "texts[0]"),
    ({"texts": []}, "INVALID_ARGUMENT", "WRONG_INPUT_COUNT", "texts"),
    ({"texts": [IDEA, IDEA]}, "INVALID_ARGUMENT", "WRONG_INPUT_COUNT", "texts"),
    ({"config": "nirgendwo"}, "NOT_FOUND", "CONFIG_NOT_FOUND", "config"),
    ({"outputs": ["nichts"]}, "NOT_FOUND", "OUTPUT_NOT_FOUND", "outputs[0]"),
    ({"safety_level": 0}, "INVALID_ARGUMENT", "LEVEL_UNSPECIFIED", "safety_level"),
    ({"safety_level": 99}, "INVALID_ARGUMENT", "LEVEL_UNSPECIFIED", "safety_level"),
    ({"on_disconnect": 0}, "INVALID_ARGUMENT", "ON_DISCONNECT_UNSPECIFIED", "on_disconnect"),
    ({"language": "xx-klingon"}, "INVALID_ARGUMENT", "LANGUAGE_INVALID", "language"),
    ({"parameters": {"brightness": "1"}}, "INVALID_ARGUMENT", "PARAMETER_UNKNOWN", "parameters"),
    ({"parameters": {"width": "1e9"}}, "INVALID_ARGUMENT", "PARAMETER_OUT_OF_RANGE", "parameters"),
    ({"idempotency_key": "ä"}, "INVALID_ARGUMENT", "IDEMPOTENCY_KEY_INVALID", "idempotency_key"),
    (
        {"outputs": ["embedded_image"] * 99},
        "INVALID_ARGUMENT",
        "TOO_MANY_OUTPUTS",
        "outputs",
    ),
]


@pytest.mark.parametrize(("change", "code", "reason", "field"), BAD_REQUESTS)
async def test_bad_input_names_its_field(
    house: House, ollama: FakeOllama, change: dict[str, Any], code: str, reason: str, field: str
) -> None:
    """Each fault of a request is one status with a reason and the field."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await house.run(**{"config": "dada", "texts": [IDEA], **change})
    error = remote_error(refused.value)
    assert (error.code, error.reason) == (code, reason)
    assert (error.field or "").startswith(field)
    assert not ollama.requests


async def test_a_learner_sees_only_the_own_session(house: House, ollama: FakeOllama) -> None:
    """Another session's execution reads as unknown, in every RPC."""
    events = await house.run(user="a", session="tisch-1", config="passthrough", texts=[IDEA])
    execution_id = no_faults(events)
    foreign = tuple(identity_metadata(user="b", session="tisch-2", role=Role.LEARNER))
    own = tuple(identity_metadata(user="a", session="tisch-1", role=Role.LEARNER))
    service = house.orchestrator
    ask = pb2.GetExecutionRequest(execution_id=execution_id)
    found = await service.GetExecution(ask, metadata=own)
    assert found.execution.execution_id == execution_id
    for call in (
        service.GetExecution(ask, metadata=foreign),
        service.CancelExecution(
            pb2.CancelExecutionRequest(execution_id=execution_id), metadata=foreign
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert remote_error(refused.value).reason == "EXECUTION_NOT_FOUND"
    watch = service.WatchExecution(
        pb2.WatchExecutionRequest(execution_id=execution_id), metadata=foreign
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await watch.read()
    assert remote_error(refused.value).reason == "EXECUTION_NOT_FOUND"


async def test_a_silent_model_ends_the_run_failed(tmp_path: Path, ollama: FakeOllama) -> None:
    """A stage has a limit of its own: a hanging model cannot hold a run for ever."""
    ollama.fault = Fault.HANG_BEFORE
    async with open_house(tmp_path, ollama.url, interception_seconds=0.5) as house:
        events = await house.run(config="dada", texts=[IDEA])
        changed = events[-1].state_changed
        assert changed.state == execution_pb2.EXECUTION_STATE_FAILED
        assert changed.reason == "STAGE_TIMEOUT"
        record = await house.record(events[-1].execution_id)
        assert item_types(record)[-1] == "pipeline_error"
        assert record.items[-1].stage == 2


@pytest.mark.parametrize(
    ("role", "setting"),
    [
        (Role.LEARNER, "max_executions_per_learner"),
        (Role.TEACHER, "max_executions_per_caller"),
    ],
)
async def test_nobody_can_fill_the_house(
    tmp_path: Path, ollama: FakeOllama, role: Role, setting: str
) -> None:
    """One person's session may run a few at once; the next is refused with when to try again."""
    ollama.fault = Fault.HANG_BEFORE
    person = tuple(identity_metadata(user="a", session="tisch-1", role=role))
    ask = pb2.RunExecutionRequest(
        config="dada",
        texts=[IDEA],
        text_only=True,
        safety_level=types_pb2.SAFETY_LEVEL_KIDS,
        on_disconnect=pb2.ON_DISCONNECT_CANCEL,
    )
    limits: dict[str, Any] = {setting: 2}
    async with open_house(tmp_path, ollama.url, **limits) as house:
        calls = [house.orchestrator.RunExecution(ask, metadata=person) for _ in range(2)]
        for call in calls:
            assert (await anext(aiter(call))).event.execution_id
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anext(aiter(house.orchestrator.RunExecution(ask, metadata=person)))
        error = remote_error(refused.value)
        assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_EXECUTIONS")
        assert error.retry_seconds
        others = tuple(identity_metadata(user="b", session="tisch-2", role=role))
        other = house.orchestrator.RunExecution(ask, metadata=others)
        assert (await anext(aiter(other))).event.execution_id
        for call in [*calls, other]:
            call.cancel()


async def test_watching_an_abandoned_run_ends_with_its_lease(
    tmp_path: Path, ollama: FakeOllama
) -> None:
    """Whoever watches a run whose orchestrator died is told INTERRUPTED, and need not wait on."""
    start = execution_pb2.ExecutionItem(
        item_id=new_id(),
        execution_id="abandoned",
        epoch=1,
        sequence_number=1,
        item_type="pipeline_start",
        metadata_json=b'{"config_name": "dada", "user_id": "local", "session_id": "local"}',
    )
    start.occur_time.GetCurrentTime()
    async with open_house(tmp_path, ollama.url, lease_seconds=1.0) as house:
        recording = house.tracker.RecordItems()
        await recording.write(tracker_service_pb2.RecordItemsRequest(items=[start]))
        ack = await recording.read()
        assert isinstance(ack, tracker_service_pb2.RecordItemsResponse)
        assert ack.accepted_count == 1
        recording.cancel()
        call = house.orchestrator.WatchExecution(
            pb2.WatchExecutionRequest(execution_id="abandoned"), timeout=30
        )
        events = [response.event async for response in call]
    assert [event.WhichOneof("event") for event in events] == [
        "snapshot",
        "item_recorded",
        "state_changed",
    ]
    assert events[-1].state_changed.state == execution_pb2.EXECUTION_STATE_INTERRUPTED

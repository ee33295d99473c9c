"""Executions that come back, the seeds of a sitting, and text that appears sentence by sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from servicekit.channel import open_channel
from servicekit.errors import remote_error
from servicekit.principals import Role, identity_metadata
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.tracker.v1 import execution_pb2, tracker_service_pb2
from tests.fakes.text_server import Fault
from tests.integration.house import (
    House,
    another_orchestrator,
    item_types,
    no_faults,
)
from tests.integration.one_house import house, model_server, ollama
from tests.integration.steps import AWAITING, Person
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceAsyncStub
    from stellwerk.orchestrator.v1 import event_pb2
    from tests.fakes.ollama import FakeOllama

pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["house", "model_server", "ollama"]

IDEA = "Eine Blume auf der Wiese"
ADULT = types_pb2.SAFETY_LEVEL_ADULT
CALL: dict[str, Any] = {"timeout": 60.0}


async def resume(
    house: House, execution_id: str, **metadata: Any
) -> list[event_pb2.ExecutionEvent]:
    """Resume an execution and return what happens, to the end or to the person's turn."""
    call = house.orchestrator.ResumeExecution(
        pb2.ResumeExecutionRequest(execution_id=execution_id),
        metadata=tuple(identity_metadata(**metadata)),
        **CALL,
    )
    events = []
    async for response in call:
        events.append(response.event)
        if response.event.state_changed.state == AWAITING:
            call.cancel()
            break
    return events


async def regenerate(
    house: House, execution_id: str, **fields: Any
) -> list[event_pb2.ExecutionEvent]:
    """Make an output once more and return what happens."""
    request = pb2.RegenerateOutputRequest(
        execution_id=execution_id, **{"loop_iteration": 1, **fields}
    )
    call = house.orchestrator.RegenerateOutput(request, **CALL)
    return [response.event async for response in call]


def start_facts(record: execution_pb2.ExecutionRecord) -> dict[str, Any]:
    """Return the metadata of the first item."""
    facts: dict[str, Any] = json.loads(record.items[0].metadata_json)
    return facts


async def interrupted_run(house: House, spool: Path, ollama: FakeOllama, until: int) -> str:
    """Start a telephone game elsewhere, let it hang at a call of the model, give it back."""
    ollama.next_faults.extend([None] * (until - 1) + [Fault.HANG_BETWEEN])
    request = pb2.RunExecutionRequest(
        config="stillepost", texts=[IDEA], safety_level=ADULT, language="de"
    )
    async with another_orchestrator(house, spool_dir=spool) as other:
        call = other.orchestrator.RunExecution(request, **CALL)
        execution_id = (await anext(aiter(call))).event.execution_id
        await eventually(lambda: len(ollama.requests) >= until)

    await given_back(house, execution_id)
    ollama.next_faults.clear()
    return execution_id


async def given_back(house: House, execution_id: str) -> None:
    """Wait until the tracker knows that nobody runs an execution."""

    async def is_interrupted() -> bool:
        ask = tracker_service_pb2.GetExecutionRequest(execution_id=execution_id)
        record = (await house.tracker.GetExecution(ask)).record
        return record.summary.state == execution_pb2.EXECUTION_STATE_INTERRUPTED

    await eventually(is_interrupted)


async def jobs_of(
    stub: GenerationServiceAsyncStub, execution_id: str
) -> Sequence[generation_pb2.Job]:
    """Return the jobs of an execution, the latest first."""
    wanted = generation_pb2.ListJobsRequest(execution_id=execution_id)
    return (await stub.ListJobs(wanted)).jobs


async def is_left(stub: GenerationServiceAsyncStub, job_id: str) -> bool:
    """Tell whether a job has ended since its caller had gone."""
    job = (await stub.GetJob(generation_pb2.GetJobRequest(job_id=job_id))).job
    return job.finished.error_reason == "JOB_LEFT"


async def test_a_run_of_which_nothing_was_recorded_begins_anew(house: House) -> None:
    """An owner that died at once leaves a key behind: it cannot be resumed, but used again."""
    metadata = tuple(identity_metadata(user="mia", session="tisch-1", role=Role.LEARNER))
    claim = tracker_service_pb2.ClaimExecutionRequest(
        execution_id="begun-in-vain", idempotency_key="once", owner_address="127.0.0.1:1"
    )
    claim.lease_duration.FromMilliseconds(100)
    await house.tracker.ClaimExecution(claim, metadata=metadata)
    await given_back(house, "begun-in-vain")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await resume(house, "begun-in-vain", user="mia", session="tisch-1", role=Role.LEARNER)
    assert remote_error(raised.value).reason == "NOT_RESUMABLE"
    request = pb2.RunExecutionRequest(
        config="dada", texts=[IDEA], safety_level=ADULT, language="de", text_only=True
    )
    request.idempotency_key = "once"
    call = house.orchestrator.RunExecution(request, metadata=metadata, **CALL)
    assert no_faults([response.event async for response in call]) == "begun-in-vain"
    record = await house.record("begun-in-vain")
    assert [item.sequence_number for item in record.items] == list(range(1, len(record.items) + 1))
    assert {item.epoch for item in record.items} == {2}
    assert item_types(record)[0] == "pipeline_start"
    assert (record.summary.complete, record.summary.user_id) == (True, "mia")


async def test_a_resumed_run_goes_on_after_what_is_recorded(
    house: House, ollama: FakeOllama, tmp_path: Path
) -> None:
    """Finished passes are not asked for again; each claim numbers its items without a gap."""
    execution_id = await interrupted_run(house, tmp_path / "spool", ollama, until=4)
    assert len(ollama.requests) == 4
    events = await resume(house, execution_id)
    assert no_faults(events) == execution_id
    assert len(ollama.requests) == 4 + 5  # passes 4 to 8
    record = await house.record(execution_id)
    passes = [item for item in record.items if item.item_type == "interception_iteration"]
    assert [item.stage_iteration for item in passes] == list(range(1, 9))
    assert [item.sequence_number for item in record.items] == list(range(1, len(record.items) + 1))
    assert {item.epoch for item in record.items} == {1, 2}
    assert item_types(record).count("pipeline_start") == 1
    assert item_types(record).count("stage1_safety_check") == 1
    resumed = next(item for item in record.items if item.item_type == "warning")
    assert json.loads(resumed.metadata_json)["reason"] == "RESUMED"


async def test_what_cannot_be_resumed_says_why(house: House, ollama: FakeOllama) -> None:
    """An ended execution, an unknown one, somebody else's: each has its reason."""
    done = no_faults(await house.run(config="passthrough", texts=[IDEA], session="tisch-1"))
    await house.record(done)
    learner = {"user": "b", "session": "tisch-2", "role": Role.LEARNER}
    for execution_id, identity, reason in [
        (done, {}, "EXECUTION_CLOSED"),
        ("nirgendwo", {}, "EXECUTION_NOT_FOUND"),
        (done, learner, "EXECUTION_NOT_FOUND"),
    ]:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await resume(house, execution_id, **identity)
        assert remote_error(refused.value).reason == reason


async def test_an_execution_that_waits_for_its_person_is_resumed_as_it_was(
    house: House, ollama: FakeOllama, tmp_path: Path
) -> None:
    """Edits and texts are there again, and the next step is based on the same text."""
    async with another_orchestrator(house, spool_dir=tmp_path / "spool") as other:
        person = await Person(other).start(texts=[IDEA])
        change = await person.edit_of("texts[0]", "Zwei Blumen auf der Wiese")
        await person.intercept(edits=[change])
        before = await person.look()
    events = await resume(house, person.execution_id)
    assert events[-1].state_changed.state == AWAITING
    assert events[-1].state_changed.head_item_id == person.head
    assert len(ollama.requests) == 1
    person.house = house
    after = await person.look()
    assert [draft.text for draft in after.drafts] == [draft.text for draft in before.drafts]
    edit = await person.edit_of("interception", "Eine Blume schläft.")
    await person.render(edits=[edit])
    assert person.state == execution_pb2.EXECUTION_STATE_COMPLETED
    assert "Eine Blume schläft." in ollama.requests[-1].prompt


@pytest.mark.parametrize("noticed", [False, True])
async def test_a_resumed_run_makes_nothing_twice(
    house: House, ollama: FakeOllama, tmp_path: Path, *, noticed: bool
) -> None:
    """The job of its predecessor is taken over; one that ended with it is asked for once more."""
    async with open_channel(house.settings.generation_address) as channel:
        stub = GenerationServiceStub(channel)
        await stub.PauseQueue(generation_pb2.PauseQueueRequest())
        request = pb2.RunExecutionRequest(
            config="passthrough", texts=[IDEA], outputs=["embedded_image"], safety_level=ADULT
        )
        async with another_orchestrator(house, spool_dir=tmp_path / "spool") as other:
            call = other.orchestrator.RunExecution(request, **CALL)
            execution_id = (await anext(aiter(call))).event.execution_id
            (first,) = await eventually(lambda: jobs_of(stub, execution_id))
            # Nobody notices that the orchestrator has gone when the replica it asked dies with it.
            # Somebody who looks on has the same effect: the job is kept.
            looking = stub.WatchJob(generation_pb2.WatchJobRequest(job_id=first.job_id))
            await anext(aiter(looking))
            if noticed:
                looking.cancel()
        await given_back(house, execution_id)
        if noticed:
            await eventually(lambda: is_left(stub, first.job_id))
        await stub.ResumeQueue(generation_pb2.ResumeQueueRequest())
        assert no_faults(await resume(house, execution_id)) == execution_id
        jobs = await jobs_of(stub, execution_id)
        looking.cancel()
    assert len(jobs) == (2 if noticed else 1)
    assert item_types(await house.record(execution_id)).count("output_image") == 1


async def test_an_output_is_made_once_more(house: House, ollama: FakeOllama) -> None:
    """It begins at stage 3 with the stored text; the same text keeps its verdict."""
    events = await house.run(config="dada", texts=[IDEA], session="malen", seed=7)
    parent = await house.record(no_faults(events))
    calls = len(ollama.requests)
    record = await house.record(no_faults(await regenerate(house, parent.summary.execution_id)))
    assert len(ollama.requests) == calls
    assert record.summary.parent_execution_id == parent.summary.execution_id
    types = item_types(record)
    assert "user_input_text" not in types
    assert "interception_final" not in types
    assert [kind for kind in types if kind.startswith("output_")] == ["output_image"]
    checked = next(item for item in record.items if item.item_type == "stage3_safety_check")
    verdict = next(item for item in parent.items if item.item_type == "stage3_safety_check")
    assert json.loads(checked.metadata_json)["of_item"] == verdict.item_id
    fed = [item.content for item in parent.items if item.item_type == "pipeline_input_text"]
    assert [item.content for item in record.items if item.item_type == "pipeline_input_text"] == [
        fed[-1]
    ] * 2
    assert start_facts(record)["seed"] != 7


async def test_a_stricter_level_needs_a_new_verdict(house: House, ollama: FakeOllama) -> None:
    """A verdict for adults says nothing about children; an explicit seed is kept."""
    events = await house.run(config="dada", texts=[IDEA], safety_level=ADULT)
    parent = await house.record(no_faults(events))
    request = pb2.RegenerateOutputRequest(
        execution_id=parent.summary.execution_id, loop_iteration=1, seed=11
    )
    learner = tuple(identity_metadata(user="local", session="local", role=Role.LEARNER))
    call = house.orchestrator.RegenerateOutput(request, metadata=learner, **CALL)
    record = await house.record(no_faults([response.event async for response in call]))
    checked = next(item for item in record.items if item.item_type == "stage3_safety_check")
    assert "of_item" not in json.loads(checked.metadata_json)
    assert start_facts(record)["seed"] == 11
    assert start_facts(record)["safety_level"] == "youth"


async def test_an_output_that_does_not_exist_is_refused(house: House, ollama: FakeOllama) -> None:
    """The number of an output is checked, and named in the error."""
    parent = no_faults(await house.run(config="passthrough", texts=[IDEA]))
    await house.record(parent)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await regenerate(house, parent, loop_iteration=3)
    assert remote_error(refused.value).reason == "OUTPUT_UNKNOWN"


async def test_seeds_of_a_sitting(house: House, ollama: FakeOllama, tmp_path: Path) -> None:
    """Same wish: a new seed. Changed wish: the last one. Another sitting: its own."""

    async def seed(where: House, text: str, session: str, **fields: Any) -> int:
        events = await where.run(
            config="passthrough", texts=[text], text_only=True, session=session, **fields
        )
        return int(start_facts(await house.record(no_faults(events)))["seed"])

    first = await seed(house, IDEA, "sitzung-1")
    again = await seed(house, IDEA, "sitzung-1")
    changed = await seed(house, "Ein Haus", "sitzung-1")
    assert first != again
    assert changed == again
    assert await seed(house, "Ein Haus", "sitzung-1", seed=5) == 5
    assert await seed(house, IDEA, "sitzung-1") == 5
    assert await seed(house, IDEA, "sitzung-2") not in (first, again, 5)
    async with another_orchestrator(house, spool_dir=tmp_path / "spool") as fresh:
        assert await seed(fresh, "Ein Baum", "sitzung-1") == 5  # as the record tells


async def test_minors_see_text_sentence_by_sentence(house: House, ollama: FakeOllama) -> None:
    """While the model still writes, checked sentences are there, and only whole ones."""
    ollama.answer = "Eine Blume tanzt. Sie lacht laut. Dann schläft sie ein."
    ollama.token_delay_seconds = 0.15
    seen: list[str] = []
    open_at_first = False
    call = house.orchestrator.RunExecution(
        pb2.RunExecutionRequest(
            config="dada",
            texts=[IDEA],
            text_only=True,
            safety_level=types_pb2.SAFETY_LEVEL_KIDS,
        ),
        **CALL,
    )
    async for response in call:
        event = response.event
        if event.HasField("text_delta"):
            seen.append(event.text_delta.text)
            open_at_first = open_at_first or ollama.answering > 0
    assert "".join(seen) == ollama.answer
    assert len(seen) > 1
    assert all(piece.rstrip().endswith(".") for piece in seen)
    assert open_at_first, "everything came after the model had ended"


async def test_nothing_comes_after_a_sentence_that_was_blocked(
    house: House, ollama: FakeOllama
) -> None:
    """The harmless beginning is seen, what follows is not; one verdict on the whole is recorded."""
    bad = "Der Mörder ermordet alle mit einem Messer, überall Blut."
    ollama.answer = f"Eine Blume tanzt. {bad} Dann schläft sie ein."
    ollama.token_delay_seconds = 0.1
    events = await house.run(config="dada", texts=[IDEA], text_only=True)
    shown = "".join(event.text_delta.text for event in events if event.HasField("text_delta"))
    assert shown.strip() in ("", "Eine Blume tanzt.")
    assert "schläft" not in str(events)
    assert events[-1].state_changed.state == execution_pb2.EXECUTION_STATE_BLOCKED
    record = await house.record(events[-1].execution_id)
    assert item_types(record).count("stage2_safety_check") == 1

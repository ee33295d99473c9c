"""Ids, keys and tokens of others in the hands of somebody who tries them all.

`test_access_table` calls every RPC and route with what belongs to Lea; this is about what is put
together: her ids inside of requests of one's own, tokens made for others, identities made up.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from servicekit.context import new_id
from servicekit.principals import identity_metadata
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb
from stellwerk.orchestrator.v1 import event_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.tracker.v1 import export_workflow_service_pb2 as workflow_pb
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb
from stellwerk.tracker.v1.export_workflow_service_pb2_grpc import ExportWorkflowServiceStub
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from tests.fakes.ollama import FakeOllama
from tests.integration.guarded_house import (
    ANSWER,
    MARKS,
    Answer,
    GuardedHouse,
    ask,
    open_guarded_house,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

RUN = "/stellwerk.orchestrator.v1.OrchestratorService/RunExecution"
READ = "/stellwerk.generation.v1.GenerationService/ReadMedia"
GET = "/stellwerk.tracker.v1.TrackerService/GetExecution"
CLAIM = "/stellwerk.tracker.v1.TrackerService/ClaimExecution"
LIST = "/stellwerk.tracker.v1.TrackerService/ListExecutions"
WORKFLOWS = "/stellwerk.tracker.v1.ExportWorkflowService/"
KIDS = types_pb2.SAFETY_LEVEL_KIDS


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GuardedHouse]:
    """A house in which Lea has made a picture."""
    async with (
        FakeOllama(ANSWER) as ollama,
        open_guarded_house(tmp_path_factory.mktemp("guarded"), ollama.url) as house,
    ):
        yield house


async def run(house: GuardedHouse, name: str, **wish: Any) -> list[event_pb2.ExecutionEvent]:
    """Run a text to its end as somebody."""
    request = orchestrator_pb.RunExecutionRequest(
        config="dada", texts=["Ein Baum"], safety_level=KIDS, language="de", text_only=True, **wish
    )
    stub = OrchestratorServiceStub(house.channels["orchestrator"])
    call = stub.RunExecution(request, metadata=shown(house.keys[name]), timeout=60)
    return [response.event async for response in call]


async def test_an_idempotency_key_is_ones_own(house: GuardedHouse) -> None:
    """The same key, and even the same wish, of somebody else is another execution."""
    key = new_id()
    ids = [(await run(house, name, idempotency_key=key))[-1] for name in ("lea", "leo", "lea")]
    first, others, again = [event.execution_id for event in ids]
    assert first == again != others


async def test_pictures_of_others_begin_nothing(house: GuardedHouse) -> None:
    """Neither what Lea uploaded nor what she made can go into somebody else's wish."""
    for sha256 in (house.made.upload_sha256, house.made.sha256):
        for name in ("leo", "tess"):
            wish = orchestrator_pb.RunExecutionRequest(
                config="picture_and_words",
                texts=["Ein Baum"],
                images=[types_pb2.MediaRef(sha256=sha256)],
                safety_level=KIDS,
                language="de",
            )
            answer = await ask(house.channels["orchestrator"], RUN, wish, house.keys[name])
            assert (answer.code, answer.reason) == ("NOT_FOUND", "MEDIA_NOT_FOUND")


async def test_an_item_is_not_found_under_an_execution_of_ones_own(house: GuardedHouse) -> None:
    """Lea's item id beside an execution id that is Leo's is nobody's picture."""
    own = (await run(house, "leo"))[-1].execution_id
    item = generation_pb.ItemKey(execution_id=own, item_id=house.made.item_id)
    request = generation_pb.ReadMediaRequest(key=generation_pb.MediaKey(item=item))
    answer = await ask(house.channels["generation"], READ, request, house.keys["leo"])
    assert answer.reason == "MEDIA_NOT_FOUND"


async def test_page_tokens_show_what_their_user_may_see(house: GuardedHouse) -> None:
    """A token that was made for an admin leads others on among their own executions only."""
    await run(house, "leo")
    tracker = TrackerServiceStub(house.channels["tracker"])
    for order in (tracker_pb.EXECUTION_ORDER_NEWEST_FIRST, tracker_pb.EXECUTION_ORDER_OLDEST_FIRST):
        first = tracker_pb.ListExecutionsRequest(page_size=1, order=order)
        page = await tracker.ListExecutions(first, metadata=shown(house.keys["ada"]))
        assert page.next_page_token
        rest = tracker_pb.ListExecutionsRequest(order=order, page_token=page.next_page_token)
        for name in ("leo", "tess"):
            answer = await ask(house.channels["tracker"], LIST, rest, house.keys[name])
            assert answer.code in ("OK", "INVALID_ARGUMENT")
            assert house.made.session_id.encode() not in answer.data


@pytest.mark.parametrize("name", ["leo", "tess"])
async def test_nobody_becomes_somebody_else_by_saying_so(house: GuardedHouse, name: str) -> None:
    """What services say of whom they act for counts for nothing, or worse, from anybody else."""
    made = house.made
    tracker = TrackerServiceStub(house.channels["tracker"])
    said = {"user": "lea", "session": made.session_id, "group": "4b", "role": "admin"}
    headers = {f"stellwerk-{what}": who for what, who in said.items()}
    request = tracker_pb.GetExecutionRequest(execution_id=made.execution_id)
    own = await ask(house.channels["tracker"], GET, request, house.keys[name])
    assert own.reason == "EXECUTION_NOT_FOUND"
    for claim in [*([pair] for pair in headers.items()), list(headers.items())]:
        call = tracker.GetExecution(request, metadata=[*shown(house.keys[name]), *claim])
        assert (await call.code()).name in ("NOT_FOUND", "PERMISSION_DENIED")
    async with house.browser(name) as browser:
        answer = await browser.get(f"/api/executions/{made.execution_id}", headers=headers)
    assert answer.status_code == HTTPStatus.NOT_FOUND


async def test_export_workflows_are_their_owners(house: GuardedHouse) -> None:
    """A teacher's workflow, by its id, is not there for another one nor for a researcher."""
    workflow_id = new_id()
    started = workflow_pb.StartExportWorkflowRequest(
        export_workflow_id=workflow_id, execution_id=house.made.execution_id, language="de"
    )
    stub = ExportWorkflowServiceStub(house.channels["tracker"])
    await stub.StartExportWorkflow(started, metadata=shown(house.keys["tom"]), timeout=60)
    other_data = workflow_pb.JsonDocument(document_type="x", data_json=b'{"a": 1}')
    attempts: dict[str, dict[str, Any]] = {
        "GetExportWorkflow": {},
        "RecordUserModifications": {"modified_data_json": b"{}"},
        "FinishExportWorkflow": {},
        "RegenerateDeliverable": {},
        "ReadDeliverable": {"version": 1},
        "CompareVersions": {},
        "RateDeliverable": {"score": 0.5},
        "WatchExportWorkflow": {},
        "StartExportWorkflow": {"document": other_data},
    }
    for name in ("tess", "rosa"):
        for rpc, fields in attempts.items():
            message = getattr(workflow_pb, f"{rpc}Request")
            request = message(export_workflow_id=workflow_id, **fields)
            channel = house.channels["tracker"]
            answer: Answer = await ask(channel, WORKFLOWS + rpc, request, house.keys[name])
            reasons = ("EXPORT_WORKFLOW_NOT_FOUND", "RECORD_DIFFERS")
            assert answer.reason in reasons, f"{name} {rpc}: {answer.code} {answer.reason}"


async def test_works_of_the_page_are_their_owners(house: GuardedHouse) -> None:
    """A file that is being made for one teacher cannot be fetched by another, nor by an admin."""
    async with house.browser("tom") as tom:
        begun = await tom.post("/research/exports", data={"format": "json"})
    address = begun.headers["location"]
    assert re.fullmatch(r"/research/exports/[\w-]+", address)
    for name in ("tess", "rosa", "ada"):
        async with house.browser(name) as browser:
            for path in (address, f"{address}/file"):
                answer = await browser.get(path)
                assert answer.status_code == HTTPStatus.NOT_FOUND
                assert not any(mark in answer.text for mark in MARKS)


async def test_nobody_takes_an_execution_over_from_somebody_else(house: GuardedHouse) -> None:
    """Calls go to who owns an execution; researchers read all, and own what they record."""
    fresh = new_id()
    tracker = TrackerServiceStub(house.channels["tracker"])
    claim = tracker_pb.ClaimExecutionRequest(execution_id=fresh, owner_address="orchestrator:1")
    for_lea = [*shown(house.keys["neighbour"]), *identity_metadata(user="lea", role="learner")]
    await tracker.ClaimExecution(claim, metadata=for_lea, timeout=30)
    for execution_id in (fresh, house.made.execution_id):
        for epoch in (None, 1):
            wanted = tracker_pb.ClaimExecutionRequest(
                execution_id=execution_id, owner_address="elsewhere:1", after_epoch=epoch
            )
            answer = await ask(house.channels["tracker"], CLAIM, wanted, house.keys["rosa"])
            assert (answer.code, answer.reason) == ("NOT_FOUND", "EXECUTION_NOT_FOUND")

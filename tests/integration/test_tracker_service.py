"""The tracker through its front door: a real server, real stubs, a real database file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from servicekit.errors import Code
from stellwerk.tracker.v1 import execution_pb2, tracker_service_pb2
from tests.integration.tracker import (
    ANNA,
    BERTA,
    STRANGER,
    TEACHER,
    Request,
    Tracker,
    failure,
    make_item,
    make_run,
    make_start,
    new_id,
    read_all,
    running_tracker,
)
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pb = tracker_service_pb2


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Tracker]:
    """A tracker with an empty database."""
    async with running_tracker(tmp_path) as tracker:
        yield tracker


# --- recording ---------------------------------------------------------------------------------


async def test_batch_is_acknowledged_and_readable(tracker: Tracker) -> None:
    """An acknowledged batch reads back message by message; repeats are accepted again."""
    execution_id = new_id()
    items = make_run(execution_id, 5)
    items[2].run_duration.nanos = 5_000
    items[2].media.uri = "media/ab/abc.png"
    items[2].metadata_json = b'{ "seed": 18446744073709551615 }'
    requests = [Request(items=items, batch_number=number) for number in (7, 8)]
    responses = await tracker.record_all(requests)
    assert [(one.batch_number, one.accepted_count) for one in responses] == [(7, 5), (8, 5)]
    record = await tracker.read(execution_id)
    assert list(record.items) == items
    assert record.summary.complete
    assert record.summary.state == execution_pb2.EXECUTION_STATE_COMPLETED


async def test_faulty_items_are_refused_alone(tracker: Tracker) -> None:
    """Each faulty item is named with index and reason; the others are stored."""
    execution_id = new_id()
    timeless = make_item(execution_id, 9)
    timeless.ClearField("occur_time")
    response = await tracker.record(
        make_start(execution_id),
        make_item(execution_id, 2, "user_input_text", stage=4),
        make_item(execution_id, 2),
        make_item(execution_id, 3, "output_image", stage=4),
        make_item(execution_id, 4, metadata_json=b"[]"),
        make_item(execution_id, 2),
        make_item(execution_id, 5, epoch=2),
        make_item("a b", 5),
        make_item(execution_id, 6, media_type=99),
        timeless,
    )
    assert response.accepted_count == 2
    assert [(one.index, one.reason) for one in response.refused] == [
        (1, "STAGE_MISMATCH"),
        (3, "ITERATION_MISSING"),
        (4, "METADATA_INVALID"),
        (5, "SEQUENCE_TAKEN"),
        (6, "EPOCH_UNKNOWN"),
        (7, "INVALID_ID"),
        (8, "MEDIA_TYPE_INVALID"),
        (9, "TIME_INVALID"),
    ]
    assert all(one.item_id and one.message for one in response.refused)


async def test_stream_ends_at_batches_that_hold_nothing_or_too_much(tracker: Tracker) -> None:
    """EMPTY_BATCH and BATCH_TOO_LARGE end the stream; what came before is acknowledged."""
    item = make_start(new_id())
    too_large = Request(items=[item] * 4097)
    for faulty, reason in ((Request(), "EMPTY_BATCH"), (too_large, "BATCH_TOO_LARGE")):
        responses: list[Any] = []

        async def record(faulty: Request = faulty, responses: list[Any] = responses) -> None:
            call = tracker.stub.RecordItems(iter([Request(items=[item]), faulty]))
            async for response in call:
                responses.append(response)

        error = await failure(record())
        assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, reason)
        assert [one.accepted_count for one in responses] == [1]


async def test_batches_are_read_ahead(tracker: Tracker) -> None:
    """Many batches of one stream, sent at once, are acknowledged each, in their order."""
    execution_id = new_id()
    items = make_run(execution_id, 500)
    requests = [Request(items=[item], batch_number=item.sequence_number) for item in items]
    responses = await tracker.record_all(requests)
    assert [one.batch_number for one in responses] == list(range(1, 501))
    assert (await tracker.read(execution_id)).summary.complete


async def test_faulty_plan_is_dropped(tracker: Tracker) -> None:
    """A plan is stored only under its own digest; GetPlan says PLAN_NOT_FOUND otherwise."""
    plan = pb.ExecutionPlan(plan_digest=hashlib.sha256(b"{}").hexdigest(), plan_json=b"{}")
    wrong = pb.ExecutionPlan(plan_digest="0" * 64, plan_json=b"{}")
    right_id, wrong_id = new_id(), new_id()
    await tracker.record(
        make_start(right_id, plan_digest=plan.plan_digest),
        make_start(wrong_id, plan_digest=wrong.plan_digest),
        plans=[plan, wrong],
    )
    response = await tracker.stub.GetPlan(pb.GetPlanRequest(execution_id=right_id))
    assert response.plan == plan
    error = await failure(tracker.stub.GetPlan(pb.GetPlanRequest(execution_id=wrong_id)))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "PLAN_NOT_FOUND")


# --- claims and leases -------------------------------------------------------------------------


async def test_claim_is_answered_with_documented_errors(tracker: Tracker) -> None:
    """Claims give epoch and number, LEASE_HELD, EXECUTION_CLOSED and INVALID_ID with its field."""
    claim = tracker.stub.ClaimExecution
    execution_id = new_id()
    mine = pb.ClaimExecutionRequest(execution_id=execution_id, owner_address="one:1")
    response = await claim(mine)
    assert (response.epoch, response.next_sequence_number, response.existing) == (1, 1, False)
    theirs = pb.ClaimExecutionRequest(execution_id=execution_id, owner_address="two:2")
    error = await failure(claim(theirs))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "LEASE_HELD")
    await tracker.record(*make_run(execution_id))
    assert (await failure(claim(theirs))).reason == "EXECUTION_CLOSED"
    for field, value in (
        ("execution_id", ""),
        ("owner_address", ""),
        ("idempotency_key", "k" * 129),
        ("after_epoch", 0),
    ):
        values: dict[str, Any] = {"execution_id": execution_id, "owner_address": "one:1"}
        values[field] = value
        error = await failure(claim(pb.ClaimExecutionRequest(**values)))
        assert (error.code, error.reason, error.field) == (
            Code.INVALID_ARGUMENT,
            "INVALID_ID",
            field,
        )


async def test_key_belongs_to_the_user_that_is_acted_for(tracker: Tracker) -> None:
    """The same key of two users stands for two executions."""

    def wish() -> pb.ClaimExecutionRequest:
        return pb.ClaimExecutionRequest(
            execution_id=new_id(), owner_address="one:1", idempotency_key="k"
        )

    first = await tracker.stub.ClaimExecution(wish(), metadata=ANNA)
    repeated = await tracker.stub.ClaimExecution(wish(), metadata=ANNA)
    other = await tracker.stub.ClaimExecution(wish(), metadata=BERTA)
    assert (repeated.existing, repeated.execution_id) == (True, first.execution_id)
    assert (repeated.owner_address, repeated.epoch) == ("one:1", 1)
    assert not other.existing


async def test_owner_is_told_to_those_who_may_see_the_execution(tracker: Tracker) -> None:
    """Replicas learn where an execution runs; that of somebody else is unknown."""
    execution_id = new_id()
    beat = pb.ExecutionHeartbeat(
        execution_id=execution_id, epoch=1, owner_address="one:1", awaiting_edit=True
    )
    await tracker.record(make_start(execution_id), heartbeats=[beat])
    ask = pb.GetOwnerRequest(execution_id=execution_id)
    response = await tracker.stub.GetOwner(ask)
    assert (response.owned, response.owner_address) == (True, "one:1")
    summary = (await tracker.read(execution_id)).summary
    assert summary.state == execution_pb2.EXECUTION_STATE_AWAITING_EDIT
    error = await failure(tracker.stub.GetOwner(ask, metadata=BERTA))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "EXECUTION_NOT_FOUND")


async def test_silent_execution_is_interrupted_and_can_end(tmp_path: Path) -> None:
    """Without a sign of life an execution is INTERRUPTED; its late terminal item still counts."""
    async with running_tracker(tmp_path, execution_lease_seconds=0.2) as tracker:
        execution_id = new_id()
        items = make_run(execution_id)
        await tracker.record(*items[:3])

        async def is_interrupted() -> bool:
            state = (await tracker.read(execution_id)).summary.state
            return state == execution_pb2.EXECUTION_STATE_INTERRUPTED

        await eventually(is_interrupted)
        await tracker.record(items[3])
        summary = (await tracker.read(execution_id)).summary
        assert summary.state == execution_pb2.EXECUTION_STATE_COMPLETED


async def test_released_execution_is_interrupted_at_once(tracker: Tracker) -> None:
    """A drained owner gives its lease back; numbers that it told of are missing."""
    execution_id = new_id()
    beat = pb.ExecutionHeartbeat(
        execution_id=execution_id, epoch=1, last_sequence_number=3, released=True
    )
    await tracker.record(make_start(execution_id), heartbeats=[beat])
    summary = (await tracker.read(execution_id)).summary
    assert summary.state == execution_pb2.EXECUTION_STATE_INTERRUPTED
    assert (list(summary.missing), summary.last_sequence_number) == ([2, 3], 3)


# --- reading -----------------------------------------------------------------------------------


async def test_foreign_executions_read_as_unknown(tracker: Tracker) -> None:
    """Learners see their session, teachers their class; everything else is EXECUTION_NOT_FOUND."""
    execution_id = new_id()
    await tracker.record(*make_run(execution_id))
    for metadata in (ANNA, TEACHER, ()):
        assert (await tracker.read(execution_id, metadata)).summary.user_input == "Eine Blume"
    for metadata in (BERTA, STRANGER):
        get = tracker.read(execution_id, metadata)
        watch = tracker.stub.WatchItems(
            pb.WatchItemsRequest(execution_id=execution_id), metadata=metadata
        )
        unknown = tracker.read(new_id(), metadata)
        errors = [await failure(one) for one in (get, read_all(watch), unknown)]
        assert {(one.code, one.reason) for one in errors} == {
            (Code.NOT_FOUND, "EXECUTION_NOT_FOUND")
        }
        assert len({one.message for one in errors}) == 1
        page = await tracker.stub.ListExecutions(pb.ListExecutionsRequest(), metadata=metadata)
        assert not page.executions


async def test_withheld_content_is_cleared_for_learners(tracker: Tracker) -> None:
    """What was blocked for the learner stays in the record and out of the learner's sight."""
    execution_id = new_id()
    blocked = make_item(
        execution_id,
        2,
        "interception_final",
        stage=2,
        content="böse",
        metadata={"withheld": True},
    )
    blocked.media.uri = "media/ab/abc.png"
    await tracker.record(make_start(execution_id), blocked)
    seen = (await tracker.read(execution_id, ANNA)).items[1]
    assert not seen.HasField("content")
    assert not seen.HasField("media")
    assert (await tracker.read(execution_id, TEACHER)).items[1] == blocked
    request = pb.WatchItemsRequest(execution_id=execution_id)
    request.max_wait_duration.nanos = 1
    watched = await read_all(tracker.stub.WatchItems(request, metadata=ANNA))
    assert [one.item.content for one in watched] == ["", ""]


async def test_list_filters_and_pages(tracker: Tracker) -> None:
    """Pages hold what was asked for, newest first, each execution once."""
    ids = [new_id() for _ in range(7)]
    for number, execution_id in enumerate(ids):
        run = make_run(execution_id, config_name="dada" if number % 2 else "bauhaus")
        for item in run:
            item.occur_time.seconds += 60 * number
        await tracker.record(*run)
    seen, token = [], ""
    while True:
        page = await tracker.stub.ListExecutions(
            pb.ListExecutionsRequest(page_size=3, page_token=token)
        )
        seen += [one.execution_id for one in page.executions]
        await tracker.record(*make_run(new_id(), config_name="new"))
        token = page.next_page_token
        if not token:
            break
    assert [one for one in seen if one in ids] == ids[::-1]
    request = pb.ListExecutionsRequest(
        config_name="dada", session_id="s-anna", states=[execution_pb2.EXECUTION_STATE_COMPLETED]
    )
    page = await tracker.stub.ListExecutions(request)
    assert [one.execution_id for one in page.executions] == ids[5::-2]


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        (pb.ListExecutionsRequest(page_size=1001), "PAGE_SIZE_INVALID", "page_size"),
        (pb.ListExecutionsRequest(page_size=-1), "PAGE_SIZE_INVALID", "page_size"),
        (pb.ListExecutionsRequest(page_token="x"), "PAGE_TOKEN_INVALID", "page_token"),
        (pb.ListExecutionsRequest(states=[0]), "STATE_UNSPECIFIED", "states"),  # type: ignore[list-item]
        (pb.ListExecutionsRequest(states=[99]), "STATE_UNSPECIFIED", "states"),  # type: ignore[list-item]
    ],
)
async def test_faulty_list_names_the_field(
    tracker: Tracker, request_: pb.ListExecutionsRequest, reason: str, field: str
) -> None:
    """A faulty list request is INVALID_ARGUMENT with reason and field."""
    error = await failure(tracker.stub.ListExecutions(request_))
    assert (error.code, error.reason, error.field) == (Code.INVALID_ARGUMENT, reason, field)


async def test_token_is_bound_to_its_filters(tracker: Tracker) -> None:
    """A page token used with other filters is refused instead of skipping executions."""
    for _ in range(2):
        await tracker.record(*make_run(new_id()))
    page = await tracker.stub.ListExecutions(pb.ListExecutionsRequest(page_size=1))
    request = pb.ListExecutionsRequest(page_token=page.next_page_token, config_name="dada")
    assert (await failure(tracker.stub.ListExecutions(request))).reason == "PAGE_TOKEN_INVALID"

"""What export workflows refuse: the right status and reason, and nothing half recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from servicekit.errors import Code, remote_error
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from tests.integration.export_workflows import (
    BEN,
    DATA,
    NOWHERE,
    document,
    edit,
    finish,
    history,
    read,
    record_session,
    regenerate,
    start,
    started,
)
from tests.integration.tracker import (
    TEACHER,
    Tracker,
    failure,
    make_start,
    new_id,
    read_all,
    running_tracker,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Tracker]:
    """A tracker without a generation service: summaries are extractive."""
    async with running_tracker(tmp_path, generation_address=NOWHERE) as running:
        yield running


async def test_nobody_reaches_anothers_workflow(tracker: Tracker) -> None:
    """Every RPC that names a workflow says NOT_FOUND to anybody but its owner."""
    name = await started(tracker)
    await finish(tracker, name, "csv", "data_table")
    stub = tracker.workflows
    named: dict[str, Any] = {"export_workflow_id": name}
    calls: list[Awaitable[Any]] = [
        edit(tracker, name, DATA, BEN),
        finish(tracker, name, "csv", "data_table", BEN),
        regenerate(tracker, name, "csv", "data_table", BEN),
        read(tracker, name, BEN),
        read_all(stub.ReadDeliverable(pb.ReadDeliverableRequest(**named), metadata=BEN)),
        read_all(stub.WatchExportWorkflow(pb.WatchExportWorkflowRequest(**named), metadata=BEN)),
        stub.CompareVersions(pb.CompareVersionsRequest(**named), metadata=BEN),
        stub.RateDeliverable(pb.RateDeliverableRequest(**named, score=1.0), metadata=BEN),
        finish(tracker, new_id(), "csv", "data_table"),
        finish(tracker, "no id", "csv", "data_table"),
    ]
    for call in calls:
        error = await failure(call)
        assert (error.code, error.reason) == (Code.NOT_FOUND, "EXPORT_WORKFLOW_NOT_FOUND")
    assert name not in [one.export_workflow_id for one in await history(tracker, BEN)]
    workflow, _ = await read(tracker, name, ())  # the admin of this machine
    assert workflow.owner == "rita"


async def test_executions_are_those_that_one_may_read(tracker: Tracker) -> None:
    """A teacher's workflow holds the own class only; a researcher's no real name."""
    (name,) = await record_session(tracker, 1)
    other = new_id()
    await tracker.record(make_start(other, user="tom", group_id="8a"))
    begun = await start(tracker, execution_id=name)
    assert b"anna" not in begun.SerializeToString()
    assert begun.workflow.document_id == name
    for source, reason in (
        ({"execution_id": other}, "EXECUTION_NOT_FOUND"),
        ({"execution_id": new_id()}, "EXECUTION_NOT_FOUND"),
        ({"selection": pb.ExecutionSelection(config_name="none")}, "NO_EXECUTIONS"),
        ({"selection": pb.ExecutionSelection(execution_ids=[name, other])}, "EXECUTION_NOT_FOUND"),
    ):
        error = await failure(start(tracker, TEACHER, **source))
        assert (error.code, error.reason) == (Code.NOT_FOUND, reason)


FAULTY_STARTS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "SOURCE_MISSING", "source"),
    ({"selection": pb.ExecutionSelection()}, "SOURCE_MISSING", "selection"),
    (
        {"document": document(DATA, document_type="")},
        "SOURCE_MISSING",
        "document.document_type",
    ),
    ({"execution_id": "a\nb"}, "INVALID_ID", "execution_id"),
    ({"document": document(DATA), "language": "fr"}, "LANGUAGE_UNKNOWN", "language"),
    (
        {"document": document(DATA), "export_workflow_id": "mine"},
        "INVALID_ID",
        "export_workflow_id",
    ),
    ({"document": document(b"{")}, "DOCUMENT_INVALID", "document.data_json"),
    ({"document": document(b" " * 2_000_000)}, "DOCUMENT_TOO_LARGE", "document.data_json"),
    (
        {"document": document(b"[" * 200 + b"]" * 200)},
        "DOCUMENT_TOO_DEEP",
        "document.data_json",
    ),
    ({"document": document([0] * 20_001)}, "TOO_MANY_FIELDS", "document.data_json"),
    (
        {"document": document(DATA, provenance_json=b"[]")},
        "DOCUMENT_INVALID",
        "document.provenance_json",
    ),
    (
        {"document": document(DATA, extraction_confidence=1.5)},
        "CONFIDENCE_INVALID",
        "document.extraction_confidence",
    ),
    (
        {"document": document(DATA, document_id="x" * 129)},
        "TEXT_TOO_LONG",
        "document.document_id",
    ),
]


async def test_a_faulty_start_says_what_is_wrong(tracker: Tracker) -> None:
    """What cannot be a workflow is refused by reason and field, and nothing is stored."""
    for fields, reason, field in FAULTY_STARTS:
        error = await failure(start(tracker, **fields))
        assert (error.code, error.reason, error.field) == (Code.INVALID_ARGUMENT, reason, field)
    assert await history(tracker) == []


async def test_faulty_later_steps_leave_a_workflow_as_it_was(tracker: Tracker) -> None:
    """Unknown templates and formats, faulty data, steps out of order: refused, nothing recorded."""
    name = await started(tracker)
    before = await read(tracker, name)
    invalid, state = Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION
    for call, code, reason in (
        (finish(tracker, name, "csv"), invalid, "TEMPLATE_MISSING"),
        (finish(tracker, name, "", "data_table"), invalid, "FORMAT_MISSING"),
        (finish(tracker, name, "csv", "poem"), invalid, "TEMPLATE_UNKNOWN"),
        (finish(tracker, name, "pptx", "data_table"), invalid, "FORMAT_UNKNOWN"),
        (finish(tracker, name, "csv", "learning_journey"), invalid, "TEMPLATE_NOT_APPLICABLE"),
        (regenerate(tracker, name, "csv"), state, "STAGE_OUT_OF_ORDER"),
        (edit(tracker, name, b"7"), invalid, "DOCUMENT_INVALID"),
        (edit(tracker, name, b" " * 2_000_000), invalid, "DOCUMENT_TOO_LARGE"),
        (edit(tracker, name, DATA, template="poem"), invalid, "TEMPLATE_UNKNOWN"),
        (edit(tracker, name, DATA, form="exe"), invalid, "FORMAT_UNKNOWN"),
        (edit(tracker, name, DATA, editing_time_seconds=-1.0), invalid, "EDITING_TIME_INVALID"),
        (edit(tracker, name, DATA, record_id="1"), invalid, "INVALID_ID"),
        (edit(tracker, name, DATA, base_version=5), state, "VERSION_OUTDATED"),
    ):
        error = await failure(call)
        assert (error.code, error.reason) == (code, reason)
    assert await read(tracker, name) == before
    await finish(tracker, name, "csv", "data_table")
    error = await failure(finish(tracker, name, "json", "data_table"))
    assert (error.code, error.reason) == (state, "WORKFLOW_CLOSED")


async def test_a_message_over_the_limit_is_refused_by_the_transport(tracker: Tracker) -> None:
    """Ten megabytes never reach the tracker, and the connection goes on."""
    with pytest.raises(grpc.RpcError) as raised:
        await start(tracker, document=document(b"[" + b" " * 10_000_000 + b"]"))
    assert remote_error(raised.value).code is Code.RESOURCE_EXHAUSTED
    assert await started(tracker)

"""Stages that foreign systems record: in order, once, and also when the tracker was away."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from servicekit.errors import Code
from servicekit.principals import Role, identity_metadata
from servicekit.server import start_server
from stellwerk.tracker.v1 import export_workflow_pb2 as model
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk_client.stage_spool import StageSpool
from tests.integration.export_workflows import (
    BEN,
    NOWHERE,
    RITA,
    document,
    edit,
    finish,
    history,
    read,
    start,
    values,
)
from tests.integration.tracker import (
    Tracker,
    failure,
    new_id,
    read_all,
    running_tracker,
    tracker_settings,
)
from tests.support import eventually, free_port
from tracker_service.service import registration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DATA = {"total": 10, "lines": [{"id": 1, "price": 4}, {"id": 2, "price": 6}]}
EDITED = {"total": 11, "lines": [{"id": 1, "price": 5}, {"id": 2, "price": 6}]}
BEGUN = 1_700_000_000
SERVICE = identity_metadata(user="exporter", role=Role.SERVICE)


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Tracker]:
    """A tracker."""
    async with running_tracker(tmp_path, generation_address=NOWHERE) as running:
        yield running


def stage(name: str, seconds: float, **content: Any) -> model.ExportStageRecord:
    """Return a record of so many seconds after the beginning."""
    record = model.ExportStageRecord(id=new_id(), export_workflow_id=name, **content)
    record.create_time.FromMilliseconds(round((BEGUN + seconds) * 1000))
    return record


def first(name: str, data: Any = DATA, **fields: Any) -> model.ExportStageRecord:
    """Return a record of stage 1."""
    content = model.InitialAiSummary(
        source=model.ExportSource(document_type="invoice", extraction_method="ocr 2.0"),
        initial_extracted_data_json=json.dumps(data).encode(),
        ai_initial_summary="Two lines.",
        initial_summary_metadata=model.SummaryMetadata(
            ai_model="acme/reader", tokens_used=7, confidence_score=0.5
        ),
    )
    return stage(name, 0, initial_ai_summary=content, **fields)


def second(name: str, data: Any = EDITED, before: Any = None) -> model.ExportStageRecord:
    """Return a record of stage 2, whose figures are not to be believed."""
    content = model.UserModifications(
        original_data_json=b"" if before is None else json.dumps(before).encode(),
        modified_data_json=json.dumps(data).encode(),
        user_preferences=model.ExportPreferences(export_format="pptx", document_template="slides"),
        user_actions=model.UserActions(fields_edited_count=99, editing_time_seconds=300.0),
    )
    return stage(name, 60, user_modifications=content)


def third(name: str) -> model.ExportStageRecord:
    """Return a record of stage 3."""
    content = model.FinalSummaryAndDeliverable(
        ai_final_summary="Two lines, 11 in all.",
        deliverable=model.Deliverable(
            filename="slides.pptx",
            file_size_bytes=5,
            file_format="pptx",
            mime_type="application/x-slides",
            content_hash=f"sha256:{hashlib.sha256(b'bytes').hexdigest()}",
        ),
        workflow_summary=model.WorkflowSummary(ai_processing_accuracy=1.0),
        document_template="slides",
    )
    return stage(name, 90, final_summary_and_deliverable=content)


async def record(
    tracker: Tracker, what: model.ExportStageRecord, who: Any = RITA
) -> pb.RecordExportStageResponse:
    """Record a stage."""
    request = pb.RecordExportStageRequest(record=what, language="de")
    return await tracker.workflows.RecordExportStage(request, metadata=who)


async def test_three_foreign_stages_make_a_workflow(tracker: Tracker) -> None:
    """Recorded twice each, they stand once, with figures that the tracker computed itself."""
    name = new_id()
    for made in (first(name), second(name, before=DATA), third(name)):
        answers = [await record(tracker, made) for _ in range(2)]
        assert answers[0].record == answers[1].record
    workflow, records = await read(tracker, name)
    assert [(one.stage, one.version) for one in records] == [(1, 1), (2, 1), (3, 1)]
    assert (workflow.owner, workflow.language, workflow.status) == ("rita", "de", 3)
    initial = records[0].initial_ai_summary
    assert initial.source.extraction_fields_count == 5
    assert initial.initial_summary_metadata.ai_model == "acme/reader"
    edited = records[1].user_modifications
    assert values(edited.changes) == [
        ("total", "modification", 10, 11),
        ("lines[0].price", "modification", 4, 5),
    ]
    assert json.loads(edited.original_data_json) == DATA
    assert edited.user_actions.fields_edited_count == 2
    assert edited.user_actions.editing_time_seconds == 60.0
    final = records[2].final_summary_and_deliverable
    assert final.workflow_summary.ai_processing_accuracy == 3 / 5
    assert final.workflow_summary.total_time_seconds == 90.0
    assert not final.workflow_summary.HasField("final_output_quality")
    assert not final.deliverable.stored
    request = pb.ReadDeliverableRequest(export_workflow_id=name)
    error = await failure(read_all(tracker.workflows.ReadDeliverable(request, metadata=RITA)))
    assert error.reason == "DELIVERABLE_NOT_FOUND"
    insights = await tracker.workflows.GetExportInsights(
        pb.GetExportInsightsRequest(), metadata=RITA
    )
    assert [(one.name, one.count) for one in insights.formats] == [("pptx", 1)]


async def test_foreign_stages_come_in_order(tracker: Tracker) -> None:
    """What comes too early, too late, for another's or for our own workflow is refused."""
    name, own = new_id(), (await start(tracker, document=document(DATA))).workflow
    state, missing = Code.FAILED_PRECONDITION, Code.NOT_FOUND

    async def refused(what: model.ExportStageRecord, who: Any = RITA) -> tuple[Code, str]:
        error = await failure(record(tracker, what, who))
        return error.code, error.reason

    assert await refused(second(name)) == (state, "STAGE_OUT_OF_ORDER")
    assert await refused(third(name)) == (state, "STAGE_OUT_OF_ORDER")
    begun = first(name)
    await record(tracker, begun)
    assert await refused(first(name)) == (state, "STAGE_OUT_OF_ORDER")
    assert await refused(first(name), BEN) == (missing, "EXPORT_WORKFLOW_NOT_FOUND")
    assert await refused(second(own.export_workflow_id)) == (state, "WORKFLOW_NOT_FOREIGN")
    error = await failure(edit(tracker, name, EDITED))
    assert (error.code, error.reason) == (state, "WORKFLOW_FOREIGN")
    error = await failure(finish(tracker, name, "csv", "data_table"))
    assert (error.code, error.reason) == (state, "WORKFLOW_FOREIGN")
    early = second(name)
    early.create_time.seconds = BEGUN - 1
    assert await refused(early) == (Code.INVALID_ARGUMENT, "TIME_INVALID")
    assert await refused(second(name, before={})) == (Code.INVALID_ARGUMENT, "DATA_MISMATCH")
    changed = first(name, EDITED)
    changed.id = begun.id
    assert await refused(changed) == (Code.ALREADY_EXISTS, "RECORD_DIFFERS")
    await record(tracker, third(name))
    assert await refused(second(name)) == (state, "WORKFLOW_CLOSED")
    await record(tracker, third(name))
    assert (await read(tracker, name))[0].deliverable_count == 2


async def test_faulty_foreign_records_say_what_is_wrong(tracker: Tracker) -> None:
    """Faults are told by reason and field, and nothing of the record is stored."""
    name = new_id()
    bad_hash, no_type, bad_data, judged = third(name), first(name), first(name), third(name)
    bad_hash.final_summary_and_deliverable.deliverable.content_hash = "md5:1"
    no_type.initial_ai_summary.source.document_type = ""
    bad_data.initial_ai_summary.initial_extracted_data_json = b"[" * 200
    whole = judged.final_summary_and_deliverable.workflow_summary
    whole.final_output_quality.score = 0.5
    untimed = first(name)
    untimed.ClearField("create_time")
    for what, reason, field in (
        (model.ExportStageRecord(id=new_id(), export_workflow_id=name), "CONTENT_MISSING", ""),
        (untimed, "TIME_INVALID", ".create_time"),
        (first("mine"), "INVALID_ID", ".export_workflow_id"),
        (no_type, "CONTENT_MISSING", ".initial_ai_summary.source.document_type"),
        (bad_data, "DOCUMENT_TOO_DEEP", ".initial_ai_summary.initial_extracted_data_json"),
        (
            bad_hash,
            "HASH_INVALID",
            ".final_summary_and_deliverable.deliverable.content_hash",
        ),
        (
            judged,
            "CONTENT_MISSING",
            ".final_summary_and_deliverable.workflow_summary.final_output_quality.assessed_by",
        ),
    ):
        error = await failure(record(tracker, what))
        assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, reason)
        assert error.field == f"record{field}"
    assert await history(tracker) == []


async def test_only_services_record_for_others(tracker: Tracker) -> None:
    """A service names the owner, who then finds the workflow; a person names nobody else."""
    name = new_id()
    error = await failure(record(tracker, first(name, owner="ben")))
    assert (error.code, error.reason) == (Code.PERMISSION_DENIED, "OWNER_NOT_ALLOWED")
    await record(tracker, first(name, owner="ben"), SERVICE)
    await record(tracker, second(name), SERVICE)
    assert [one.export_workflow_id for one in await history(tracker, BEN)] == [name]
    assert await history(tracker, RITA) == []


# --- with the spool ------------------------------------------------------------------------------


async def test_stages_wait_for_a_tracker_that_is_away(tmp_path: Path) -> None:
    """Records of a process that ended are sent in order by the next one, and none twice."""
    address, spool = f"127.0.0.1:{free_port()}", tmp_path / "spool"
    names = [new_id() for _ in range(3)]
    with StageSpool(spool, address) as away:
        for name in names:
            away.record(first(name), language="de")
            away.record(second(name))
        assert not await asyncio.to_thread(away.flush, 0.1)
        away.close(timeout=0)
        assert away.pending() == 6
    settings = tracker_settings(tmp_path / "data", listen_address=address)
    async with start_server(settings, registration(settings)):
        with StageSpool(spool, address) as back:
            for name in names:
                back.record(third(name))
            assert await asyncio.to_thread(back.flush, 30.0)
    async with running_tracker(tmp_path / "data", generation_address=NOWHERE) as tracker:
        stored = await history(tracker, ())
        assert {one.export_workflow_id for one in stored} == set(names)
        assert {(one.modification_version, one.deliverable_count) for one in stored} == {(1, 1)}


async def test_a_refused_stage_is_set_aside(tmp_path: Path) -> None:
    """What the tracker never takes holds nobody up, and lies there with its reason."""
    settings = tracker_settings(tmp_path / "data")
    folder = tmp_path / "spool"
    with structlog.testing.capture_logs() as logs:
        async with start_server(settings, registration(settings)) as server:
            with StageSpool(folder, server.address) as spool:
                lost, name = second(new_id()), new_id()
                spool.record(lost)
                spool.record(first(name))
                assert await asyncio.to_thread(spool.flush, 30.0)
    (aside,) = (folder / "refused").iterdir()
    assert aside.name.endswith(f"{lost.id}.STAGE_OUT_OF_ORDER")
    assert pb.RecordExportStageRequest.FromString(aside.read_bytes()).record == lost
    (refusal,) = (one for one in logs if one["event"] == "stage_refused")
    assert refusal["record_id"] == lost.id


async def test_one_of_two_spools_of_a_folder_sends(tmp_path: Path) -> None:
    """What one process takes is sent by the other, and by itself once that one has ended."""
    settings = tracker_settings(tmp_path / "data")
    async with start_server(settings, registration(settings)) as server:
        one = StageSpool(tmp_path / "spool", server.address)
        await eventually((tmp_path / "spool" / ".lock").exists)
        two = StageSpool(tmp_path / "spool", server.address)
        two.record(first(new_id()))
        await eventually(lambda: two.pending() == 0, within_seconds=30)
        one.close()
        two.record(first(new_id()))
        await eventually(lambda: two.pending() == 0, within_seconds=30)
        two.close()


def test_a_full_spool_takes_nothing(tmp_path: Path) -> None:
    """Over the quota or the limit of a message a record is refused at once, and nothing stays."""
    with StageSpool(tmp_path / "spool", NOWHERE, quota_bytes=1) as spool:
        with pytest.raises(OSError, match="full"):
            spool.record(first(new_id()))
        with pytest.raises(ValueError, match="4 MiB"):
            spool.record(first(new_id(), ["x" * 5_000_000]))
        assert spool.pending() == 0
        spool.close(timeout=0)

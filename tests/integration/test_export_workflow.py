"""Export workflows through the tracker's front door: three stages, recorded, repeated, refused."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from servicekit.audit import read_audit
from servicekit.channel import ending
from servicekit.errors import Code, remote_error
from stellwerk.tracker.v1 import export_workflow_pb2 as model
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk.tracker.v1 import tracker_service_pb2
from tests.integration.export_workflows import (
    BEN,
    NOWHERE,
    RITA,
    audit,
    document,
    edit,
    finish,
    history,
    read,
    regenerate,
    start,
    values,
)
from tests.integration.tracker import (
    DATABASES,
    TEACHER,
    Tracker,
    empty_database,
    failure,
    make_item,
    make_start,
    new_id,
    read_all,
    running_tracker,
)
from tests.support import eventually
from tests.unit.tracker_service.export_workflow.workflows import (
    make_delivery,
    make_initial,
    make_workflow,
)
from tracker_service.export_workflow import rules
from tracker_service.store.sqlite import open_sqlite_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

DATA = {
    "number": 7,
    "unit.price": 3.5,
    'the "best"': True,
    "items": [{"id": 1, "text": "Blume", "next": 2}, {"id": 2, "text": "Baum", "next": 1}],
    "note": None,
}
AWAITING_REVIEW, AWAITING_FINAL, COMPLETED = 1, 2, 3


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Tracker]:
    """A tracker without a generation service: summaries are extractive."""
    async with running_tracker(tmp_path, generation_address=NOWHERE) as running:
        yield running


async def record_session(tracker: Tracker, count: int) -> list[str]:
    """Record executions of Anna; each has a text, a transformation and an edit."""
    names = [new_id() for _ in range(count)]
    for number, name in enumerate(names):
        await tracker.record(
            make_start(name),
            make_item(name, 2, "user_input_text", stage=1, content=f"Blume {number} 🌼"),
            make_item(name, 3, "interception_final", stage=2, content=f"Dada {number}"),
            make_item(name, 4, "pipeline_complete", stage=5),
        )
    return names


# --- the whole way -------------------------------------------------------------------------------


@pytest.mark.parametrize("database", DATABASES)
async def test_a_session_becomes_a_document(tmp_path: Path, database: str) -> None:
    """Ten executions of a session: every stage is recorded as its page says, figures by hand."""
    settings = {"database_url": empty_database(database), "generation_address": NOWHERE}
    async with running_tracker(tmp_path, **settings) as tracker:
        names = await record_session(tracker, 10)
        selection = pb.ExecutionSelection(session_id="s-anna")
        begun = await start(tracker, TEACHER, selection=selection, language="de")
        name = begun.workflow.export_workflow_id
        first = begun.record.initial_ai_summary
        assert begun.workflow.status == AWAITING_REVIEW
        assert list(first.source.execution_ids) == names
        assert first.source.document_type == "execution_selection"
        assert first.source.extraction_confidence == 1.0
        data = json.loads(first.initial_extracted_data_json)
        assert [one["inputs"] for one in data["executions"]] == [
            [f"Blume {number} 🌼"] for number in range(10)
        ]
        assert first.source.extraction_fields_count == leaves(data)
        assert "10" in first.ai_initial_summary
        assert first.initial_summary_metadata.extraction_method == "extractive"

        edited = copy.deepcopy(data)
        executions = edited["executions"]
        executions[3]["inputs"][0] = "Blüte 🌺"
        executions[4]["config"] = 5
        executions[5]["remark"] = {"by": "tea"}
        removed = executions[6].pop("status")
        executions.insert(0, executions.pop(9))
        second = (await edit(tracker, name, edited, TEACHER, editing_time_seconds=3600.0)).record
        modified = second.user_modifications
        assert values(modified.changes) == [
            ("executions[0]", "moved", "executions[9]", executions[0]),
            ("executions[4].inputs[0]", "modification", "Blume 3 🌼", "Blüte 🌺"),
            ("executions[5].config", "modification", "dada", 5),
            ("executions[6].remark", "addition", None, {"by": "tea"}),
            ("executions[6].status", "deletion", removed, None),
        ]
        assert json.loads(modified.original_data_json) == data
        assert json.loads(modified.modified_data_json) == edited
        actions = modified.user_actions
        assert actions.fields_edited_count == 5
        assert 0 < actions.editing_time_seconds < 600  # wall time, not the hour that was told
        assert actions.edits_per_minute == pytest.approx(5 * 60 / actions.editing_time_seconds)

        made = await finish(tracker, name, "markdown", "learning_journey", TEACHER)
        text = made.data.decode()
        assert "Blüte 🌺" in text
        assert "Blume 8 🌼" in text
        deliverable = made.final.deliverable
        assert deliverable.content_hash == f"sha256:{hashlib.sha256(made.data).hexdigest()}"
        assert deliverable.file_size_bytes == len(made.data)
        assert (deliverable.file_format, deliverable.mime_type) == ("markdown", "text/markdown")
        whole = made.final.workflow_summary
        assert whole.ai_processing_accuracy == (leaves(data) - 3) / leaves(data)
        assert whole.reviewed
        assert whole.total_time_seconds > 0
        assert not whole.HasField("final_output_quality")

        workflow, records = await read(tracker, name, TEACHER)
        assert workflow.status == COMPLETED
        assert [(one.stage, one.version) for one in records] == [(1, 1), (2, 1), (3, 1)]
        assert list(records) == [begun.record, second, made.record]
        assert {one.owner for one in records} == {"tea"}
        assert len({one.id for one in records}) == 3


def leaves(value: Any) -> int:
    """Count the fields of data by hand."""
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list)) or not children:
        return 1
    return sum(leaves(child) for child in children)


async def test_versions_repeat_until_there_is_a_deliverable(tracker: Tracker) -> None:
    """Stage 2 may repeat, each time against the version before; stage 3 closes the data."""
    name = await started(tracker)
    one = await edit(tracker, name, DATA | {"number": 8}, form="csv", template="data_table")
    two = await edit(tracker, name, DATA | {"number": 9}, base_version=1)
    three = await edit(tracker, name, DATA, base_version=2)
    assert [of.record.version for of in (one, two, three)] == [1, 2, 3]
    assert values(two.record.user_modifications.changes) == [("number", "modification", 8, 9)]
    assert three.workflow.status == AWAITING_FINAL
    error = await failure(edit(tracker, name, DATA, base_version=2))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "VERSION_OUTDATED")
    assert three.record.user_modifications.user_preferences.export_format == "csv"  # as before
    made = await finish(tracker, name, "json")
    assert made.final.document_template == "data_table"
    assert made.final.modification_version == 3
    assert made.final.workflow_summary.ai_processing_accuracy == 1.0
    error = await failure(edit(tracker, name, DATA))
    assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "WORKFLOW_CLOSED")
    compared = await tracker.workflows.CompareVersions(
        pb.CompareVersionsRequest(export_workflow_id=name, from_version=0, to_version=2),
        metadata=RITA,
    )
    assert values(compared.changes) == [("number", "modification", 7, 9)]
    assert compared.unchanged_share == pytest.approx(1 - 1 / leaves(DATA))
    request = pb.CompareVersionsRequest(export_workflow_id=name, to_version=4)
    error = await failure(tracker.workflows.CompareVersions(request, metadata=RITA))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "VERSION_NOT_FOUND")


async def test_review_may_be_skipped(tracker: Tracker) -> None:
    """A document of the machine's data is made, and its record says that nobody looked at them."""
    name = await started(tracker)
    made = await finish(tracker, name, "html", "executive_summary")
    whole = made.final.workflow_summary
    assert (whole.ai_processing_accuracy, whole.reviewed) == (1.0, False)
    assert made.final.modification_version == 0


async def test_deliverables_are_made_again_and_read_later(tracker: Tracker) -> None:
    """Each choice makes a deliverable of its own; all can be read, byte for byte."""
    name = await started(tracker)
    await edit(tracker, name, DATA | {"note": "neu"}, form="markdown", template="full_report")
    first = await finish(tracker, name)
    second = await regenerate(tracker, name, form="html")
    third = await regenerate(tracker, name, template="data_table", form="csv")
    versions = [one.record.version for one in (first, second, third)]
    assert versions == [1, 2, 3]
    assert first.final.ai_final_summary == third.final.ai_final_summary
    for number, made in enumerate((first, second, third), 1):
        request = pb.ReadDeliverableRequest(export_workflow_id=name, version=number % 3)
        if number < 3:
            request.version = number
        parts = await read_all(tracker.workflows.ReadDeliverable(request, metadata=RITA))
        assert parts[0].deliverable == made.final.deliverable
        assert b"".join(part.data for part in parts[1:]) == made.data
    again = await regenerate(tracker, name, "markdown", "full_report")
    assert again.data == first.data  # the same choice gives the same bytes
    request = pb.ReadDeliverableRequest(export_workflow_id=name, version=9)
    error = await failure(read_all(tracker.workflows.ReadDeliverable(request, metadata=RITA)))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "DELIVERABLE_NOT_FOUND")


async def started(tracker: Tracker, who: Any = RITA, data: Any = DATA) -> str:
    """Start a workflow over handed-in data and return its name."""
    begun = await start(tracker, who, document=document(data))
    name: str = begun.workflow.export_workflow_id
    return name


# --- repeated ------------------------------------------------------------------------------------


async def test_every_step_can_be_repeated(tracker: Tracker) -> None:
    """A call that is made again, since its answer was lost, records nothing twice."""
    name, edit_id = new_id(), new_id()
    calls = [
        await start(tracker, export_workflow_id=name, document=document(DATA)) for _ in range(2)
    ]
    assert calls[0].record == calls[1].record
    edits = [
        await edit(tracker, name, DATA | {"number": 1}, record_id=edit_id, base_version=0)
        for _ in range(2)
    ]
    assert edits[0].record == edits[1].record
    files = [await finish(tracker, name, "csv", "data_table") for _ in range(2)]
    assert files[0] == files[1]
    again = [await regenerate(tracker, name, "json") for _ in range(2)]
    assert again[0] == again[1]
    assert await finish(tracker, name, "csv", "data_table") == files[0]
    workflow, records = await read(tracker, name)
    assert (workflow.modification_version, workflow.deliverable_count) == (1, 2)
    assert len(records) == 4


async def test_an_id_means_one_thing(tracker: Tracker) -> None:
    """An id that was used for something else is refused, whoever used it."""
    name, edit_id = new_id(), new_id()
    await start(tracker, export_workflow_id=name, document=document(DATA))
    await edit(tracker, name, DATA, record_id=edit_id)
    for call in (
        start(tracker, export_workflow_id=name, document=document([1])),
        start(tracker, BEN, export_workflow_id=name, document=document(DATA)),
        edit(tracker, name, DATA | {"number": 1}, record_id=edit_id),
    ):
        error = await failure(call)
        assert (error.code, error.reason) == (Code.ALREADY_EXISTS, "RECORD_DIFFERS")
    error = await failure(finish(tracker, name, "csv", "data_table", BEN))
    assert error.reason == "EXPORT_WORKFLOW_NOT_FOUND"


async def test_the_same_call_twice_at_once_starts_one_workflow(tracker: Tracker) -> None:
    """Two calls with one id that overtake each other get one and the same workflow."""
    name = new_id()
    one, two = await asyncio.gather(
        *(start(tracker, export_workflow_id=name, document=document(DATA)) for _ in range(2))
    )
    assert one.record == two.record


async def test_who_leaves_in_the_middle_leaves_nothing_behind(
    tracker: Tracker, tmp_path: Path
) -> None:
    """A document whose caller has gone is recorded whole or not at all, and can be had again."""
    name = await started(tracker)
    wanted = model.ExportPreferences(export_format="pdf", document_template="full_report")
    request = pb.FinishExportWorkflowRequest(export_workflow_id=name, preferences=wanted)
    call = tracker.workflows.FinishExportWorkflow(request, metadata=RITA)
    leaving = asyncio.create_task(read_all(call))
    folder = tmp_path / "exports"
    await eventually(lambda: leaving.done() or any(folder.glob("*")), within_seconds=60)
    call.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await eventually(lambda: not any(folder.glob("*")), within_seconds=60)
    made = await finish(tracker, name, "pdf", "full_report")
    assert made.data.startswith(b"%PDF")
    workflow, records = await read(tracker, name)
    assert (workflow.deliverable_count, len(records)) == (1, 2)


# --- refused -------------------------------------------------------------------------------------


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


# --- watched, judged, counted --------------------------------------------------------------------


async def test_who_waits_is_told_of_the_deliverable(tracker: Tracker) -> None:
    """A watcher sees each stage as it is recorded, and `deliverable_ready` with its number."""
    name = await started(tracker)
    request = pb.WatchExportWorkflowRequest(export_workflow_id=name)
    news: list[pb.WatchExportWorkflowResponse] = []

    async def watch() -> None:
        with ending(tracker.workflows.WatchExportWorkflow(request, metadata=RITA)) as call:
            async for response in call:
                news.append(response)
                if response.deliverable_ready == 2:
                    return

    watching = asyncio.create_task(watch())
    await eventually(lambda: len(news) == 1)
    await edit(tracker, name, DATA)
    await eventually(lambda: len(news) == 2)
    await finish(tracker, name, "csv", "data_table")
    await eventually(lambda: len(news) == 3)
    await regenerate(tracker, name, "json")
    await watching
    assert [one.deliverable_ready for one in news] == [0, 0, 1, 2]
    assert [one.workflow.status for one in news] == [
        AWAITING_REVIEW,
        AWAITING_FINAL,
        COMPLETED,
        COMPLETED,
    ]
    request = pb.WatchExportWorkflowRequest(export_workflow_id=name, after_deliverable=2)
    request.max_wait_duration.FromMilliseconds(1)
    (last,) = await read_all(tracker.workflows.WatchExportWorkflow(request, metadata=RITA))
    assert last.deliverable_ready == 0


async def test_quality_is_said_by_somebody(tracker: Tracker) -> None:
    """A judgement has its author: the person who calls, or a check by its name."""
    name = await started(tracker)
    request = pb.RateDeliverableRequest(export_workflow_id=name, score=0.5)
    error = await failure(tracker.workflows.RateDeliverable(request, metadata=RITA))
    assert error.reason == "DELIVERABLE_NOT_FOUND"
    await finish(tracker, name, "csv", "data_table")
    await tracker.workflows.RateDeliverable(request, metadata=RITA)
    _, records = await read(tracker, name)
    whole = records[-1].final_summary_and_deliverable.workflow_summary
    assert whole.final_output_quality == model.OutputQuality(score=0.5, assessed_by="rita")
    request.check_name = "spelling 1.2"
    rated = await tracker.workflows.RateDeliverable(request, metadata=RITA)
    whole = rated.record.final_summary_and_deliverable.workflow_summary
    assert whole.final_output_quality.is_check
    request.score = float("nan")
    error = await failure(tracker.workflows.RateDeliverable(request, metadata=RITA))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "SCORE_INVALID")


# --- kept and erased -----------------------------------------------------------------------------


async def test_workflows_go_after_their_time(tmp_path: Path) -> None:
    """What is older than the setting is gone after the next start, but for its audit lines."""
    long_ago_us = 1_600_000_000_000_000
    store = await open_sqlite_store(
        tmp_path / "tracker.sqlite3",
        lease_seconds=30,
        on_commit=lambda committed: None,
        clock=lambda: long_ago_us,
    )
    workflow = await store.workflows.create(
        make_workflow(long_ago_us), make_initial(long_ago_us, DATA), ()
    )
    delivery = make_delivery(workflow, b"file", long_ago_us)
    changed = rules.after(workflow, delivery, long_ago_us)
    await store.workflows.append(workflow, changed, delivery, b"file")
    await store.close()
    log = tmp_path / "audit.jsonl"
    options: dict[str, Any] = {
        "generation_address": NOWHERE,
        "export_workflow_ttl_days": 30,
        "audit_file": log,
    }
    file_hash = f"sha256:{hashlib.sha256(b'file').hexdigest()}"
    async with running_tracker(tmp_path, retention_dry_run=True, **options) as tracker:
        young = await started(tracker)
        assert len(await history(tracker)) == 2
    async with running_tracker(tmp_path, **options) as tracker:

        async def gone() -> bool:
            return [one.export_workflow_id for one in await history(tracker)] == [young]

        await eventually(gone)
        error = await failure(read(tracker, workflow.export_workflow_id))
        assert (error.code, error.reason) == (Code.NOT_FOUND, "EXPORT_WORKFLOW_NOT_FOUND")
        told = await audit(tracker, content_hash=file_hash)
        assert [one.event for one in told] == ["expired", "delivered"]
    acts = [line.content for line in read_audit(log)]
    (removal,) = (one for one in acts if one["act"] == "RemoveExportWorkflows")
    assert removal["details"] == {"workflow_count": 1, "content_hashes": [file_hash]}


async def test_erasing_a_person_erases_what_was_made_of_them(tmp_path: Path) -> None:
    """Workflows of the person and about the person are gone, others stay, the file has no trace."""
    async with running_tracker(tmp_path, generation_address=NOWHERE) as tracker:
        (execution,) = await record_session(tracker, 1)
        about = (await start(tracker, execution_id=execution)).workflow.export_workflow_id
        await finish(tracker, about, "markdown", "learning_journey")
        others = await started(tracker)
        own = await started(tracker, BEN, {"secret": "Blumenkohl"})
        for user in ("anna", "ben"):
            request = tracker_service_pb2.EraseUserRequest(user_id=user)
            await tracker.stub.EraseUser(request)
        for name, who in ((about, RITA), (own, BEN)):
            error = await failure(read(tracker, name, who))
            assert error.reason == "EXPORT_WORKFLOW_NOT_FOUND"
        assert (await read(tracker, others))[0].export_workflow_id == others
        assert [one.event for one in await audit(tracker, export_workflow_id=about)] == [
            "erased",
            "delivered",
        ]
    stored = bytes_below(tmp_path)
    for trace in ("Blume 0", "Blumenkohl", "Dada 0"):
        assert trace.encode() not in stored


def bytes_below(folder: Path) -> bytes:
    """Return the bytes of all files of a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())

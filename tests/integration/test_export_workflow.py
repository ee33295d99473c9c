"""Export workflows through the tracker's front door: three stages, recorded, repeated, told of."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from servicekit.channel import ending, open_channel
from servicekit.errors import Code
from servicekit.server import start_server
from stellwerk.tracker.v1 import export_workflow_pb2 as model
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from tests.integration.export_workflows import (
    BEN,
    DATA,
    NOWHERE,
    RITA,
    document,
    edit,
    finish,
    leaves,
    read,
    record_session,
    regenerate,
    start,
    started,
    values,
)
from tests.integration.tracker import (
    DATABASES,
    TEACHER,
    Tracker,
    empty_database,
    failure,
    new_id,
    read_all,
    running_tracker,
    tracker_on,
    tracker_settings,
)
from tests.support import eventually
from tracker_service.service import registration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

AWAITING_REVIEW, AWAITING_FINAL, COMPLETED = 1, 2, 3


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Tracker]:
    """A tracker without a generation service: summaries are extractive."""
    async with running_tracker(tmp_path, generation_address=NOWHERE) as running:
        yield running


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


async def test_watching_ends_when_the_tracker_stops(tmp_path: Path) -> None:
    """Who waits is told to ask again, and keeps no tracker from stopping."""
    settings = tracker_settings(tmp_path, generation_address=NOWHERE, grace_seconds=60)
    stopping = contextlib.AsyncExitStack()
    server = await stopping.enter_async_context(start_server(settings, registration(settings)))
    async with open_channel(server.address) as channel:
        tracker = tracker_on(channel, tmp_path)
        request = pb.WatchExportWorkflowRequest(export_workflow_id=await started(tracker))
        with ending(tracker.workflows.WatchExportWorkflow(request, metadata=RITA)) as call:
            news = aiter(call)
            assert (await anext(news)).workflow.status == AWAITING_REVIEW
            await stopping.aclose()
            error = await failure(anext(news))
    assert (error.code, error.reason) == (Code.UNAVAILABLE, "DRAINING")


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

"""Export workflows that go: after their time, and with the data of a person."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from servicekit.audit import read_audit
from servicekit.channel import open_channel
from servicekit.errors import Code
from servicekit.server import start_server
from stellwerk.tracker.v1 import tracker_service_pb2
from tests.integration.export_workflows import (
    BEN,
    DATA,
    NOWHERE,
    RITA,
    audit,
    edit,
    finish,
    history,
    read,
    record_session,
    start,
    started,
)
from tests.integration.tracker import (
    failure,
    running_tracker,
    tracker_on,
    tracker_settings,
)
from tests.support import eventually
from tests.unit.tracker_service.export_workflow.workflows import (
    make_delivery,
    make_initial,
    make_workflow,
)
from tracker_service.export_workflow import rules
from tracker_service.service import registration
from tracker_service.store.sqlite import open_sqlite_store

if TYPE_CHECKING:
    from pathlib import Path


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


async def test_stages_and_documents_are_counted(tmp_path: Path) -> None:
    """Numbers tell what began, how it ended, and which documents came of it; no repeated call."""
    settings = tracker_settings(tmp_path, generation_address=NOWHERE, metrics_address="127.0.0.1:0")
    async with (
        start_server(settings, registration(settings)) as server,
        open_channel(server.address) as channel,
        httpx.AsyncClient(base_url=f"http://{server.metrics_address}") as numbers,
    ):
        tracker = tracker_on(channel, tmp_path)
        name = await started(tracker)
        await failure(edit(tracker, name, DATA, base_version=7))
        await edit(tracker, name, DATA)
        made = await finish(tracker, name, "csv", "data_table")
        await finish(tracker, name, "csv", "data_table")
        text = (await numbers.get("/metrics")).text
    families = text_string_to_metric_families(text)
    found = {
        (sample.name.removeprefix("stellwerk_export_"), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("stellwerk_export_") and "le" not in sample.labels
    }
    stages = ("initial_ai_summary", "user_modifications", "final_summary_and_deliverable")
    assert [found["stages_started_total", stage] for stage in stages] == [1, 2, 1]
    assert found["stage_seconds_count", "refused", "user_modifications"] == 1
    assert [found["stage_seconds_count", "finished", stage] for stage in stages] == [1, 1, 1]
    assert found["document_bytes_count", "csv"] == 1
    assert found["document_bytes_sum", "csv"] == len(made.data)

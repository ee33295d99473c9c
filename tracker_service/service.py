"""Puts the tracker together, from settings to servicers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from servicekit.channel import open_neighbour
from servicekit.vitals import tell_free_bytes
from stellwerk.tracker.v1 import (
    export_service_pb2,
    export_service_pb2_grpc,
    export_workflow_service_pb2,
    export_workflow_service_pb2_grpc,
    tracker_service_pb2,
    tracker_service_pb2_grpc,
)
from tracker_service.commits import CommitHub
from tracker_service.eraser import Eraser
from tracker_service.export.kept_files import KeptFiles
from tracker_service.export_wiring import open_exports
from tracker_service.export_workflow.metrics import WorkflowMetrics
from tracker_service.export_workflow.retention import WorkflowRetention
from tracker_service.export_workflow.summary.machine import MachineSummarizer
from tracker_service.export_workflow.wiring import open_export_workflows
from tracker_service.files import RecordFiles
from tracker_service.generation_client import GenerationMedia, GenerationTexts, MediaEraser
from tracker_service.indexing import keep_index
from tracker_service.ingest import RecordStreams
from tracker_service.metrics import TrackerMetrics
from tracker_service.retention import keep_retention
from tracker_service.servicer import TrackerServicer
from tracker_service.store.database import wall_clock_us
from tracker_service.store.sqlite import open_sqlite_store
from tracker_service.sweeper import sweep
from tracker_service.taxonomy import Taxonomy
from tracker_service.views import Views, kept_key

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    import grpc

    from servicekit.audit import AuditLog
    from servicekit.server import Owned, Register, ServiceNames
    from tracker_service.settings import TrackerSettings
    from tracker_service.store.database import DatabaseStore, OnWork

SERVED = (
    tracker_service_pb2.DESCRIPTOR.services_by_name["TrackerService"].full_name,
    export_service_pb2.DESCRIPTOR.services_by_name["ExportService"].full_name,
    export_workflow_service_pb2.DESCRIPTOR.services_by_name["ExportWorkflowService"].full_name,
)
DATABASE_NAME = "tracker.sqlite3"
FILES_FOLDER = "research_data"
EXPORTS_FOLDER = "exports"
PSEUDONYM_KEY_NAME = "pseudonym.key"
ERASE_SECONDS = 30.0
"""Limit of erasing the media of one execution."""
MEDIA_SECONDS = 120.0
"""Limit of reading one file."""
SUMMARY_SECONDS = 60.0
"""Limit of one text of a model; summaries take at most two."""


def registration(settings: TrackerSettings) -> Register:
    """Return what adds the tracker to a server.

    Args:
        settings: Where the data lie, how long leases last.
    """

    async def register(server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        hub = CommitHub()
        metrics = TrackerMetrics(owned.meter)
        tell_free_bytes(owned.meter, settings.data_dir)
        store = await _kept_store(settings, hub, metrics, owned)
        files = _keep_files(settings, store, hub, owned)
        generation = await owned.enter_async_context(open_generation(settings))
        built = await asyncio.to_thread(
            KeptFiles, settings.data_dir / EXPORTS_FOLDER, settings.export_keep_seconds
        )
        owned.push_async_callback(built.forget)
        erased_media = MediaEraser(generation, timeout_seconds=ERASE_SECONDS)
        eraser = Eraser(store.erasures, files, erased_media, also=built.forget)
        run_in_background(owned, eraser.run(), "eraser")
        run_in_background(owned, retention_of(settings, store, eraser, owned.audit), "retention")
        streams = RecordStreams(store, Taxonomy(), metrics, owned.tracer)
        key = await asyncio.to_thread(pseudonym_key_of, settings)
        views = Views(store, key)
        servicer = TrackerServicer(store, hub, streams, eraser, views)
        tracker_service_pb2_grpc.add_TrackerServiceServicer_to_server(servicer, server)
        media = GenerationMedia(generation, timeout_seconds=MEDIA_SECONDS)
        exports = open_exports(store, built, media, key)
        export_service_pb2_grpc.add_ExportServiceServicer_to_server(exports, server)
        workflows = open_export_workflows(
            store.workflows,
            store,
            views,
            built,
            media,
            MachineSummarizer(GenerationTexts(generation, timeout_seconds=SUMMARY_SECONDS)),
            WorkflowMetrics(owned.meter),
            ttl_days=settings.export_workflow_ttl_days,
        )
        export_workflow_service_pb2_grpc.add_ExportWorkflowServiceServicer_to_server(
            workflows.servicer, server
        )
        owned.before_stop(streams.drain)
        owned.before_stop(workflows.hub.close)
        owned.before_stop(hub.close)
        return SERVED

    return register


async def _kept_store(
    settings: TrackerSettings, hub: CommitHub, metrics: TrackerMetrics, owned: Owned
) -> DatabaseStore:
    """Open the store, and have its leases and its index kept in the background."""
    store = await open_store(settings, hub, metrics.database_used)
    owned.push_async_callback(store.close)
    metrics.read_writes(store.writes_waiting)
    await store.extend_leases()
    sweeping = sweep(store, settings.execution_lease_seconds, metrics.interrupted)
    run_in_background(owned, sweeping, "sweeper")
    run_in_background(owned, keep_index(store.insights, store.writes_waiting), "search-index")
    return store


def _keep_files(
    settings: TrackerSettings, store: DatabaseStore, hub: CommitHub, owned: Owned
) -> RecordFiles:
    """Write records as files in the background, if they are wanted."""
    folder = settings.data_dir / FILES_FOLDER
    files = RecordFiles(store, hub, folder, settings.file_refresh_seconds)
    if settings.files:
        owned.push_async_callback(files.finish)
        run_in_background(owned, files.run(), "record-files")
    return files


async def retention_of(
    settings: TrackerSettings, store: DatabaseStore, eraser: Eraser, audit: AuditLog
) -> None:
    """Erase what was kept long enough, if anything is to be."""
    days, dry_run = settings.export_workflow_ttl_days, settings.retention_dry_run
    if settings.retention or days:
        await keep_retention(
            store,
            eraser,
            settings.retention,
            dry_run=dry_run,
            clock=wall_clock_us,
            audit=audit,
            workflows=(
                WorkflowRetention(store.workflows, audit, days, dry_run, wall_clock_us)
                if days
                else None
            ),
        )


def pseudonym_key_of(settings: TrackerSettings) -> bytes:
    """Return the key of pseudonyms; empty: there is none.

    A single tracker keeps one of its own; several must be told the same.
    """
    told = settings.pseudonym_key.get_secret_value()
    if told or settings.database_url.get_secret_value():
        return told.encode()
    return kept_key(settings.data_dir / PSEUDONYM_KEY_NAME)


def open_generation(settings: TrackerSettings) -> AbstractAsyncContextManager[grpc.aio.Channel]:
    """Return the channel to the service that keeps the media."""
    return open_neighbour(settings, settings.generation_address)


async def open_store(settings: TrackerSettings, hub: CommitHub, on_work: OnWork) -> DatabaseStore:
    """Open the database that the settings name; `on_work` hears how long it takes.

    Raises:
        ConfigurationError: It cannot be used.
    """
    url = settings.database_url.get_secret_value()
    if not url:
        return await open_sqlite_store(
            settings.data_dir / DATABASE_NAME,
            lease_seconds=settings.execution_lease_seconds,
            on_commit=hub,
            synchronous=settings.synchronous,
            on_work=on_work,
        )
    from tracker_service.store.postgres import open_postgres_store  # its driver is seldom needed

    return await open_postgres_store(
        url, lease_seconds=settings.execution_lease_seconds, on_commit=hub, on_work=on_work
    )


def run_in_background(owned: Owned, work: Coroutine[Any, Any, None], name: str) -> None:
    """Run `work` until the server is closed."""
    task = asyncio.create_task(work, name=name)

    async def cancel() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    owned.push_async_callback(cancel)

"""Puts the tracker together, from settings to servicers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from stellwerk.tracker.v1 import (
    export_service_pb2,
    export_service_pb2_grpc,
    tracker_service_pb2,
    tracker_service_pb2_grpc,
)
from tracker_service.commits import CommitHub
from tracker_service.export_wiring import open_exports
from tracker_service.files import RecordFiles
from tracker_service.ingest import RecordStreams
from tracker_service.servicer import TrackerServicer
from tracker_service.store.sqlite import open_sqlite_store
from tracker_service.sweeper import sweep
from tracker_service.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    import grpc

    from servicekit.server import Owned, Register, ServiceNames
    from tracker_service.settings import TrackerSettings
    from tracker_service.store.database import DatabaseStore

DATABASE_NAME = "tracker.sqlite3"
FILES_FOLDER = "research_data"


def registration(settings: TrackerSettings) -> Register:
    """Return what adds the tracker to a server.

    Args:
        settings: Where the data lie, how long leases last.
    """

    async def register(server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        hub = CommitHub()
        store = await open_store(settings, hub)
        owned.push_async_callback(store.close)
        await store.extend_leases()
        run_in_background(owned, sweep(store, settings.execution_lease_seconds), "sweeper")
        if settings.files:
            folder = settings.data_dir / FILES_FOLDER
            files = RecordFiles(store, hub, folder, settings.file_refresh_seconds)
            owned.push_async_callback(files.finish)
            run_in_background(owned, files.run(), "record-files")
        streams = RecordStreams(store, Taxonomy())
        servicer = TrackerServicer(store, hub, streams)
        tracker_service_pb2_grpc.add_TrackerServiceServicer_to_server(servicer, server)
        exports = await open_exports(settings, store, owned)
        export_service_pb2_grpc.add_ExportServiceServicer_to_server(exports, server)
        owned.before_stop(streams.drain)
        owned.before_stop(hub.close)
        return (
            tracker_service_pb2.DESCRIPTOR.services_by_name["TrackerService"].full_name,
            export_service_pb2.DESCRIPTOR.services_by_name["ExportService"].full_name,
        )

    return register


async def open_store(settings: TrackerSettings, hub: CommitHub) -> DatabaseStore:
    """Open the database that the settings name.

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
        )
    from tracker_service.store.postgres import open_postgres_store  # its driver is seldom needed

    return await open_postgres_store(
        url, lease_seconds=settings.execution_lease_seconds, on_commit=hub
    )


def run_in_background(owned: Owned, work: Coroutine[Any, Any, None], name: str) -> None:
    """Run `work` until the server is closed."""
    task = asyncio.create_task(work, name=name)

    async def cancel() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    owned.push_async_callback(cancel)

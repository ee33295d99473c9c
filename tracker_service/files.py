"""Every record also as a file, under `research_data/<config>/<execution_id>.json`, and overviews.

Researchers have tools that read folders, and a folder outlives a database. The files are a copy:
they are written behind the acks, and whatever a crash left out is made up for at the next start.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote

import structlog

from servicekit.errors import ServiceError
from tracker_service.access import EVERYTHING
from tracker_service.export.json_form import dump
from tracker_service.insights import Dimension
from tracker_service.overviews import daily_form, session_form
from tracker_service.store.interface import ExecutionFilter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tracker_service.commits import CommitHub
    from tracker_service.records import ExecutionRecord
    from tracker_service.store.interface import FileEntry, KeyedRecord, Store

log = structlog.get_logger(__name__)

RESERVED_FOLDERS: Final = frozenset({"sessions", "analytics"})
MAX_NAME_BYTES: Final = 200
MAX_IN_SESSION: Final = 1000
"""Executions that a session's file names, the latest ones."""
RETRY_SECONDS: Final = 5.0
FINISH_SECONDS: Final = 5.0


def safe_name(text: str) -> str:
    """Return `text` as the name of a file or folder: readable, reversible, harmless.

    Args:
        text: Any text.

    Returns:
        ASCII letters, digits, `.`, `_`, `-`; everything else percent-encoded. Never empty, never
        beginning with a dot, at most `MAX_NAME_BYTES` long.
    """
    name = quote(text, safe="")
    if name.startswith(".") or text in RESERVED_FOLDERS:
        name = f"%{ord(text[0]):02X}{name[1:]}"
    return name[:MAX_NAME_BYTES] or "_"


def record_path(folder: Path, config_name: str, execution_id: str) -> Path:
    """Return where the file of a record lies.

    Args:
        folder: The folder `research_data`.
        config_name: The config; empty if there was none.
        execution_id: The execution.
    """
    return folder / safe_name(config_name) / f"{safe_name(execution_id)}.json"


def write_record(path: Path, record: ExecutionRecord) -> None:
    """Write the file of a record: readers see the old one or the new one, never a part.

    Args:
        path: Where; folders are made.
        record: What.

    Raises:
        OSError: The disk is full, or the folder may not be written to.
    """
    write_text(path, dump(record))


def write_text(path: Path, text: str) -> None:
    """Write a file: readers see the old one or the new one, never a part.

    Args:
        path: Where; folders are made.
        text: What, without the last line's end.

    Raises:
        OSError: The disk is full, or the folder may not be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    # A fixed name: what a killed process left behind is overwritten, not collected.
    return path.with_name(f".{path.name}.tmp")


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class RecordFiles:
    """Keeps the files up to date in the background; no ack ever waits for it."""

    def __init__(self, store: Store, hub: CommitHub, folder: Path, refresh_seconds: float) -> None:
        """Keep the files of `store`.

        Args:
            store: Where the records are.
            hub: Tells when one is complete.
            folder: The folder `research_data`.
            refresh_seconds: How often files of records that are not complete are renewed.
        """
        self._store = store
        self._hub = hub
        self._folder = folder
        self._refresh_seconds = refresh_seconds
        # A cancelled write goes on in its thread; the next one must wait for it.
        self._disk = threading.Lock()
        # Between the reading of a record and the writing of its file nothing may be erased.
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Write what is due, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_up(), name="record-files-due")
            tasks.create_task(self._restore_missing(), name="record-files-missing")

    async def _keep_up(self) -> NoReturn:
        refreshed = time.monotonic()
        with self._hub.watching_completed() as waker:
            while True:
                waker.rest()
                try:
                    await self._write_outdated(only_complete=True)
                    if time.monotonic() - refreshed >= self._refresh_seconds:
                        refreshed = time.monotonic()
                        await self._write_outdated(only_complete=False)
                        await self._write_daily()
                except (OSError, ServiceError) as exc:
                    log.warning("record_files_failed", error_type=type(exc).__name__)
                    await asyncio.sleep(RETRY_SECONDS)
                    waker.wake()  # what failed is still due
                await waker.wait(self._refresh_seconds)

    async def finish(self) -> None:
        """Write what is due before the store is closed; the next start does what is left."""
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                await self._write_outdated(only_complete=True)
        except (OSError, ServiceError, TimeoutError) as exc:
            log.warning("record_files_failed", error_type=type(exc).__name__)

    async def _write_outdated(self, *, only_complete: bool) -> None:
        async def outdated(after: int) -> list[FileEntry]:
            return await self._store.outdated_files(only_complete=only_complete, after=after)

        await self._for_each(outdated, self._write)

    async def _restore_missing(self) -> None:
        """Write files of complete records that were lost or never written."""
        try:
            await self._for_each(self._store.complete_files, self._write_if_missing)
        except (OSError, ServiceError) as exc:
            log.warning("record_files_failed", error_type=type(exc).__name__)

    async def _for_each(
        self,
        pages: Callable[[int], Awaitable[list[FileEntry]]],
        work: Callable[[FileEntry], Awaitable[KeyedRecord | None]],
    ) -> None:
        after = 0
        while entries := await pages(after):
            done = [found for entry in entries if (found := await work(entry)) is not None]
            # A record is done when its session is, too; so a page's sessions are written once.
            for session_id in {found.record.summary.session_id for found in done}:
                await self._write_session(session_id)
            for found in done:
                await self._store.mark_file(found.key, found.revision)
            after = entries[-1].key

    async def _write_if_missing(self, entry: FileEntry) -> KeyedRecord | None:
        path = record_path(self._folder, entry.config_name, entry.execution_id)
        return None if await asyncio.to_thread(path.exists) else await self._write(entry)

    async def _write(self, entry: FileEntry) -> KeyedRecord | None:
        """Write the file of a record and return that; None: it is gone or erased."""
        async with self._turn:
            found = await self._store.record_by_key(entry.key, EVERYTHING)
            if found is None or found.record.summary.erased:
                return None
            path = record_path(
                self._folder, found.record.summary.config_name, found.record.summary.execution_id
            )
            await asyncio.to_thread(self._write_file, path, found.record)
        return found

    async def _write_session(self, session_id: str) -> None:
        """Write the file of a session, or remove it if nothing of the session is left."""
        if not session_id:
            return
        path = self._folder / "sessions" / f"{safe_name(session_id)}.json"
        wanted = ExecutionFilter(session_id=session_id)
        async with self._turn:
            page = await self._store.page(wanted, EVERYTHING, MAX_IN_SESSION, None)
            if page.executions:
                form = session_form(session_id, reversed(page.executions))
                await asyncio.to_thread(self._write_form, path, form)
            else:
                await asyncio.to_thread(self._erase_file, path)

    async def _write_daily(self) -> None:
        """Write the figures of all days."""
        insights = self._store.insights
        days = await insights.statistics(ExecutionFilter(), EVERYTHING, [Dimension.DAY])
        configs = await insights.statistics(ExecutionFilter(), EVERYTHING, [Dimension.CONFIG])
        form = daily_form(days, configs, time.time_ns() // 1000)
        path = self._folder / "analytics" / "daily_stats.json"
        await asyncio.to_thread(self._write_form, path, form)

    async def erase_record(self, config_name: str, execution_id: str) -> None:
        """Remove the file of an execution, also one that was left half-written."""
        path = record_path(self._folder, config_name, execution_id)
        async with self._turn:
            await asyncio.to_thread(self._erase_file, path)

    async def erase_session(self, session_id: str) -> None:
        """Write the file of a session without what was erased, or remove it."""
        await self._write_session(session_id)

    def _erase_file(self, path: Path) -> None:
        with self._disk:
            for one in (path, _temporary(path)):
                one.unlink(missing_ok=True)
            if path.parent.is_dir():
                _sync_folder(path.parent)

    def _write_form(self, path: Path, form: dict[str, Any]) -> None:
        with self._disk:
            write_text(path, json.dumps(form, ensure_ascii=False, indent=2))

    def _write_file(self, path: Path, record: ExecutionRecord) -> None:
        with self._disk:
            write_record(path, record)

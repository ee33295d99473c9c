"""The queue's memory beyond its process: a small SQLite file.

A job is written before its caller hears that it was taken, its attempt before the worker hears of
it, and its end before anybody is told. So whatever moment the process is killed in, the next one
knows what waits, which attempt may still run where, and what was answered.

All writes go through one thread in their order. They survive the death of the process; the last
of them may be lost when the machine itself loses power (WAL, `synchronous = NORMAL`), after which
a job may be done again.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from generation_service.queue.jobs import JobState
from generation_service.queue.notes import JobRow, JournalError, WorkerNote
from generation_service.queue.records import job_text, story_text
from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from generation_service.queue.entry import Entry
    from generation_service.queue.jobs import JobEvent

T = TypeVar("T")

_SCHEMA = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA secure_delete = ON;
PRAGMA journal_size_limit = 4194304;
CREATE TABLE IF NOT EXISTS job (
    job_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    queue_time REAL NOT NULL,
    job TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    attempt_id TEXT NOT NULL DEFAULT '',
    worker TEXT NOT NULL DEFAULT '',
    wait_seconds REAL NOT NULL DEFAULT 0,
    end_time REAL,
    story TEXT NOT NULL DEFAULT '',
    start_time REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS job_by_end ON job (end_time);
CREATE TABLE IF NOT EXISTS worker (
    address TEXT PRIMARY KEY,
    presence TEXT NOT NULL,
    draining INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS fact (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
"""
_SINCE_VERSION_2 = "ALTER TABLE job ADD COLUMN start_time REAL NOT NULL DEFAULT 0"
_VERSION = 2
_COMPACT_EVERY = 200
"""Ends after which old ones are cleared away."""


class JobJournal:
    """A `Journal` in a SQLite file."""

    def __init__(self, path: Path, *, remembered: int = 1000, lock_seconds: float = 5.0) -> None:
        """Open or make the file; nobody else may use it meanwhile.

        Args:
            path: Of the SQLite file; its folder is made.
            remembered: Ended jobs that are kept.
            lock_seconds: How long another process may take to let go of it.

        Raises:
            ConfigurationError: Another process uses the file, or it is none of ours.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._remembered = remembered
        self._ended = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="job-journal")
        self._base = sqlite3.connect(
            path, timeout=lock_seconds, check_same_thread=False, isolation_level=None
        )
        try:
            self._base.executescript(_SCHEMA)
            if self._base.execute("PRAGMA user_version").fetchone() == (1,):
                self._base.execute(_SINCE_VERSION_2)
            self._base.execute(f"PRAGMA user_version = {_VERSION}")
            self._compact()
        except sqlite3.Error as exc:
            self._base.close()
            raise ConfigurationError(
                f"The job journal {path} cannot be used ({exc}). Does another generation service "
                "run in the same folder?"
            ) from exc

    async def close(self) -> None:
        """Close the file after the last note."""
        await self._do(self._base.close)
        self._thread.shutdown(wait=False)

    async def rows(self) -> list[JobRow]:
        """See `Journal.rows`."""

        def read() -> list[JobRow]:
            rows = self._base.execute(
                "SELECT job_id, state, queue_time, job, attempt, attempt_id, worker, "
                "wait_seconds, story, start_time FROM job ORDER BY queue_time, job_id"
            ).fetchall()
            return [JobRow(row[0], JobState(row[1]), *row[2:]) for row in rows]

        return await self._do(read)

    async def note_queued(self, entry: Entry) -> None:
        """See `Journal.note_queued`."""
        await self._write(
            "INSERT INTO job (job_id, state, queue_time, job, wait_seconds) "
            "VALUES (?, 'QUEUED', ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET state = 'QUEUED', wait_seconds = excluded.wait_seconds, start_time = 0",
            (entry.job.job_id, entry.queue_time, job_text(entry.job), entry.wait_seconds),
        )

    async def note_started(self, entry: Entry) -> None:
        """See `Journal.note_started`."""
        await self._write(
            "UPDATE job SET state = 'RUNNING', attempt = ?, attempt_id = ?, worker = ?, "
            "wait_seconds = ?, start_time = ? WHERE job_id = ?",
            (
                entry.attempt,
                entry.attempt_id,
                entry.worker,
                entry.wait_seconds,
                time.time(),
                entry.job.job_id,
            ),
        )

    async def note_ended(self, entry: Entry, story: list[JobEvent]) -> None:
        """See `Journal.note_ended`."""
        await self._write(
            "UPDATE job SET state = ?, job = ?, attempt = ?, end_time = ?, story = ? "
            "WHERE job_id = ?",
            (
                entry.state.value,
                job_text(entry.job_without_prompt),
                entry.attempt,
                time.time(),
                story_text(story),
                entry.job.job_id,
            ),
        )
        self._ended += 1
        if self._ended % _COMPACT_EVERY == 0:
            await self._do(self._compact)

    async def drop(self, job_id: str) -> None:
        """See `Journal.drop`."""
        await self._write("DELETE FROM job WHERE job_id = ?", (job_id,))

    async def erase(self, execution_id: str) -> None:
        """See `Journal.erase`; the file's log forgets them, too."""
        await self._do(lambda: self._erase(execution_id))

    async def worker_notes(self) -> list[WorkerNote]:
        """See `Journal.worker_notes`."""

        def read() -> list[WorkerNote]:
            query = "SELECT address, presence, draining FROM worker ORDER BY rowid"
            return [WorkerNote(a, p, bool(d)) for a, p, d in self._base.execute(query)]

        return await self._do(read)

    async def note_worker(self, note: WorkerNote) -> None:
        """See `Journal.note_worker`."""
        await self._write(
            "INSERT OR REPLACE INTO worker VALUES (?, ?, ?)",
            (note.address, note.presence, int(note.draining)),
        )

    async def fact(self, name: str) -> str:
        """See `Journal.fact`."""
        query = "SELECT value FROM fact WHERE name = ?"
        row = await self._do(lambda: self._base.execute(query, (name,)).fetchone())
        return str(row[0]) if row else ""

    async def note_fact(self, name: str, value: str) -> None:
        """See `Journal.note_fact`."""
        await self._write("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    async def _write(self, statement: str, values: tuple[object, ...]) -> None:
        await self._do(lambda: self._base.execute(statement, values))

    def _compact(self) -> None:
        self._base.execute(
            "DELETE FROM job WHERE end_time IS NOT NULL AND job_id NOT IN "
            "(SELECT job_id FROM job WHERE end_time IS NOT NULL ORDER BY end_time DESC LIMIT ?)",
            (self._remembered,),
        )
        self._base.execute("PRAGMA incremental_vacuum").fetchall()

    def _erase(self, execution_id: str) -> None:
        self._base.execute(
            "DELETE FROM job WHERE end_time IS NOT NULL AND job ->> 'execution_id' = ?",
            (execution_id,),
        )
        # Deleted rows are overwritten (`secure_delete`), but the log still has their old pages.
        self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as exc:
            raise JournalError from exc

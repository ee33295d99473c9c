"""The store in one SQLite file: nothing to install, nothing to run, safe against power loss."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from servicekit.errors import UnavailableError
from tracker_service.migrations import migrate
from tracker_service.recording import claim_execution, lapse_executions, record_batch
from tracker_service.store.file_lock import FileLock
from tracker_service.store.sqlite_book import SqliteBook
from tracker_service.store.sqlite_reads import SqliteReads
from tracker_service.store.writer_thread import WriterThread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from tracker_service.access import Audience
    from tracker_service.records import ExecutionSummary
    from tracker_service.store.interface import (
        Batch,
        BatchOutcome,
        Claim,
        ClaimRequest,
        CommitListener,
        Committed,
        ExecutionFilter,
        ExecutionPage,
        FileEntry,
        ItemsPage,
        KeyedRecord,
        PageKey,
        Plan,
    )

READER_COUNT: Final = 4
BUSY_TIMEOUT_SECONDS: Final = 10.0

T = TypeVar("T")


def wall_clock_us() -> int:
    """Return the time, microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class SqliteStore:
    """Keeps executions in one SQLite file; see `interface.Store`."""

    def __init__(
        self,
        connections: Callable[[], sqlite3.Connection],
        writer: WriterThread,
        lock: FileLock,
        clock: Callable[[], int],
    ) -> None:
        """Use `open_store`."""
        self._lock = lock
        self._writer = writer
        self._clock = clock
        self._own = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._connections = connections
        self._readers = ThreadPoolExecutor(READER_COUNT, "sqlite-reader", self._open_reader)

    # --- writing -------------------------------------------------------------------------------

    def record(self, batch: Batch) -> Awaitable[BatchOutcome]:
        """See `Store.record`."""
        now_us = self._clock()
        return asyncio.wrap_future(
            self._writer.submit(lambda book: record_batch(book, batch, now_us), batch.size_bytes)
        )

    async def claim(self, request: ClaimRequest) -> Claim:
        """See `Store.claim`."""
        return await self._write(lambda book: claim_execution(book, request, self._clock()))

    async def lapse(self) -> int:
        """See `Store.lapse`."""
        return await self._write(lambda book: lapse_executions(book, self._clock()))

    async def extend_leases(self) -> None:
        """See `Store.extend_leases`."""
        await self._write(lambda book: book.extend_leases(self._clock()))

    async def mark_file(self, key: int, revision: int) -> None:
        """See `Store.mark_file`."""
        await self._write(lambda book: book.mark_file(key, revision))

    # --- reading -------------------------------------------------------------------------------

    async def summary(self, execution_id: str, audience: Audience) -> ExecutionSummary:
        """See `Store.summary`."""
        return await self._read(lambda reads: reads.summary(execution_id, audience))

    async def record_of(self, execution_id: str, audience: Audience) -> KeyedRecord:
        """See `Store.record_of`."""
        return await self._read(lambda reads: reads.record_of(execution_id, audience))

    async def plan(self, execution_id: str, audience: Audience) -> Plan:
        """See `Store.plan`."""
        return await self._read(lambda reads: reads.plan(execution_id, audience))

    async def page(
        self, wanted: ExecutionFilter, audience: Audience, size: int, after: PageKey | None
    ) -> ExecutionPage:
        """See `Store.page`."""
        return await self._read(lambda reads: reads.page(wanted, audience, size, after))

    async def items_after(
        self, execution_id: str, audience: Audience, position: int, limit: int
    ) -> ItemsPage:
        """See `Store.items_after`."""
        return await self._read(
            lambda reads: reads.items_after(execution_id, audience, position, limit)
        )

    async def keys_of(self, execution_ids: Sequence[str], audience: Audience) -> list[int]:
        """See `Store.keys_of`."""
        return await self._read(lambda reads: reads.keys_of(execution_ids, audience))

    async def last_key(self) -> int:
        """See `Store.last_key`."""
        return await self._read(lambda reads: reads.last_key())

    async def next_key(
        self, wanted: ExecutionFilter, audience: Audience, after: int, until: int
    ) -> int | None:
        """See `Store.next_key`."""
        return await self._read(lambda reads: reads.next_key(wanted, audience, after, until))

    async def record_by_key(self, key: int, audience: Audience) -> KeyedRecord | None:
        """See `Store.record_by_key`."""
        return await self._read(lambda reads: reads.record_by_key(key, audience))

    async def outdated_files(self, *, only_complete: bool, after: int) -> list[FileEntry]:
        """See `Store.outdated_files`."""
        return await self._read(
            lambda reads: reads.outdated_files(only_complete=only_complete, after=after)
        )

    async def complete_files(self, after: int) -> list[FileEntry]:
        """See `Store.complete_files`."""
        return await self._read(lambda reads: reads.complete_files(after))

    async def close(self) -> None:
        """Write what is waiting, then close every connection."""
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._opened:
            connection.close()
        self._lock.release()

    async def _write(self, work: Callable[[SqliteBook], T]) -> T:
        return await asyncio.wrap_future(self._writer.submit(work))

    async def _read(self, question: Callable[[SqliteReads], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._answer, question)

    def _answer(self, question: Callable[[SqliteReads], T]) -> T:
        try:
            return question(SqliteReads(self._own.connection))
        except sqlite3.OperationalError as exc:
            raise UnavailableError(
                "STORE_UNAVAILABLE", "The store cannot be read now; try again.", retry_seconds=2.0
            ) from exc

    def _open_reader(self) -> None:
        self._own.connection = self._connections()
        self._opened.append(self._own.connection)


async def open_store(
    path: Path,
    *,
    lease_seconds: float,
    on_commit: CommitListener,
    synchronous: str = "FULL",
    clock: Callable[[], int] = wall_clock_us,
) -> SqliteStore:
    """Open the store, bringing its file to the present schema first.

    Args:
        path: The file; made if it is not there.
        lease_seconds: Lease of executions that say nothing else.
        on_commit: Told about each commit, in the running loop.
        synchronous: FULL; NORMAL is faster and loses the last seconds in a power cut.
        clock: The time, microseconds since 1970 UTC.

    Returns:
        The store; close it.

    Raises:
        ConfigurationError: Another process has it open.
    """
    loop = asyncio.get_running_loop()

    def connect() -> sqlite3.Connection:
        return _connect(path, synchronous)

    def tell(committed: Committed) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is over, so nobody waits any more
            loop.call_soon_threadsafe(on_commit, committed)

    def start() -> SqliteStore:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f"{path.name}.lock"))
        migrate(path)
        connection = connect()
        book = SqliteBook(connection, round(lease_seconds * 1_000_000))
        return SqliteStore(connect, WriterThread(connection, book, tell), lock, clock)

    return await asyncio.to_thread(start)


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,  # transactions are begun where they are meant
        check_same_thread=False,  # closed by whoever closes the store
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")  # 16 MiB: fewer, larger checkpoints
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA cache_size = -16384")
    return connection

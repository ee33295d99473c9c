"""The store over a SQL database: writes through one thread, reads through a few.

The drivers block, and the rules of `recording` are plain functions; threads keep both out of the
event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from tracker_service.export_workflow.storage.sql import SqlWorkflows
from tracker_service.recording import claim_execution, lapse_executions, record_batch
from tracker_service.store.reads import Reads
from tracker_service.store.sql import unavailable
from tracker_service.store.sql_erasures import SqlErasures
from tracker_service.store.sql_insights import SqlInsights

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tracker_service.access import Audience
    from tracker_service.chain import ChainReport
    from tracker_service.erasure import Erasures
    from tracker_service.export_workflow.store import WorkflowStore
    from tracker_service.insights import Insights
    from tracker_service.records import ExecutionSummary
    from tracker_service.store.interface import (
        Batch,
        BatchOutcome,
        Claim,
        ClaimRequest,
        ExecutionFilter,
        ExecutionPage,
        FileEntry,
        ItemsPage,
        KeyedRecord,
        Owner,
        PageKey,
        Plan,
    )
    from tracker_service.store.sql import Database, SqlConnection, TransactionalBook
    from tracker_service.store.writer_thread import WriterThread

READER_COUNT: Final = 4

T = TypeVar("T")
OnWork: TypeAlias = "Callable[[str, float], None]"
"""Called, in any thread, with `read` or `write` and the seconds that it took."""


def unwatched(kind: str, seconds: float) -> None:
    """Nobody asks how long the database takes."""


def wall_clock_us() -> int:
    """Return the time, microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class DatabaseStore:
    """Keeps executions in a SQL database; see `interface.Store`."""

    def __init__(
        self,
        database: Database,
        writer: WriterThread,
        clock: Callable[[], int],
        on_close: Callable[[], None],
        on_work: OnWork,
    ) -> None:
        """Use `open_sqlite_store` or `open_postgres_store`.

        Args:
            database: Where to read.
            writer: Writes; closed with the store.
            clock: The time, microseconds since 1970 UTC.
            on_close: Called in a thread after everything is closed.
            on_work: Called with `read` and the seconds that each question took.
        """
        self._database = database
        self._writer = writer
        self._clock = clock
        self._on_close = on_close
        self._on_work = on_work
        self._own = threading.local()
        self._opened: set[SqlConnection] = set()
        self._readers = ThreadPoolExecutor(READER_COUNT, "store-reader")
        self.insights: Insights = SqlInsights(self._write, self._ask)
        self.erasures: Erasures = SqlErasures(self._write, self._ask, clock)
        self.workflows: WorkflowStore = SqlWorkflows(self._write, self._ask, clock)

    # --- writing -------------------------------------------------------------------------------

    def record(self, batch: Batch) -> Awaitable[BatchOutcome]:
        """See `Store.record`."""
        now_us = self._clock()
        names = {item.execution_id for _, item in batch.items}
        names.update(heartbeat.execution_id for heartbeat in batch.heartbeats)
        stored = asyncio.wrap_future(
            self._writer.submit(
                lambda book: record_batch(book, batch, now_us), batch.size_bytes, frozenset(names)
            )
        )
        stored.add_done_callback(_look_at)
        return stored

    async def claim(self, request: ClaimRequest) -> Claim:
        """See `Store.claim`."""
        return await self._write(
            lambda book: claim_execution(book, request, self._clock()), request.execution_id
        )

    async def owner_of(self, execution_id: str, audience: Audience) -> Owner:
        """See `Store.owner_of`."""
        now_us = self._clock()
        return await self._read(lambda reads: reads.owner_of(execution_id, audience, now_us))

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

    async def records_after(
        self, wanted: ExecutionFilter, audience: Audience, after: int, until: int
    ) -> list[KeyedRecord]:
        """See `Store.records_after`."""
        return await self._read(lambda reads: reads.records_after(wanted, audience, after, until))

    async def chain(self, execution_id: str, audience: Audience) -> ChainReport:
        """See `Store.chain`."""
        return await self._read(lambda reads: reads.chain(execution_id, audience))

    async def outdated_files(self, *, only_complete: bool, after: int) -> list[FileEntry]:
        """See `Store.outdated_files`."""
        return await self._read(
            lambda reads: reads.outdated_files(only_complete=only_complete, after=after)
        )

    async def complete_files(self, after: int) -> list[FileEntry]:
        """See `Store.complete_files`."""
        return await self._read(lambda reads: reads.complete_files(after))

    def writes_waiting(self) -> int:
        """Return how many changes wait for the next transaction; from any thread."""
        return self._writer.waiting_count()

    async def close(self) -> None:
        """Write what is waiting, then close every connection."""
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._opened:
            connection.close()
        await asyncio.to_thread(self._on_close)

    async def _write(self, work: Callable[[TransactionalBook], T], *execution_ids: str) -> T:
        return await asyncio.wrap_future(
            self._writer.submit(work, execution_ids=frozenset(execution_ids))
        )

    async def _read(self, question: Callable[[Reads], T]) -> T:
        return await self._ask(lambda connection: question(Reads(connection)))

    async def _ask(self, question: Callable[[SqlConnection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._answer, question)

    def _answer(self, question: Callable[[SqlConnection], T]) -> T:
        started = time.perf_counter()
        try:
            return self._answer_or_retry(question)
        finally:
            self._on_work("read", time.perf_counter() - started)

    def _answer_or_retry(self, question: Callable[[SqlConnection], T]) -> T:
        # A connection may have died while it was idle; a fresh one tells whether that was all.
        for last_attempt in (False, True):
            try:
                return question(self._connection())
            except Exception as exc:
                if not self._database.is_outage(exc):
                    raise
                self._drop_connection()
                if last_attempt:
                    raise unavailable() from exc
        raise AssertionError

    def _connection(self) -> SqlConnection:
        """Return the connection of this thread."""
        connection: SqlConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._database.connect()
            self._opened.add(connection)
        return connection

    def _drop_connection(self) -> None:
        connection: SqlConnection | None = getattr(self._own, "connection", None)
        if connection is not None:
            self._own.connection = None
            self._opened.discard(connection)
            connection.close()


def _look_at(stored: asyncio.Future[BatchOutcome]) -> None:
    """Take notice of a failure: a stream that has ended asks for no answer, which is no bug."""
    if not stored.cancelled():
        stored.exception()

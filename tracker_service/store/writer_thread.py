"""The one thread of this process that writes to the database.

A commit that is safe against power loss costs as much for one item as for thousands, and SQLite
has one writer at a time anyway. So everything that waits is put into one transaction, and only
after its commit does anyone hear back.
"""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from servicekit.errors import ResourceExhaustedError, ServiceError
from tracker_service.store.sql import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker_service.store.interface import Committed
    from tracker_service.store.sql import TransactionalBook

log = structlog.get_logger(__name__)

MAX_WAITING_JOBS: Final = 512
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
MAX_GROUP_JOBS: Final = 64
"""Jobs of one transaction; more would keep the first one waiting."""
MAX_GROUP_BYTES: Final = 512 * 1024
"""Less than one stream may have ahead, so that more is read while these are written."""
MAX_ATTEMPTS: Final = 5
"""Attempts at a transaction that met another writer's."""
CLOSE_TIMEOUT_SECONDS: Final = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[TransactionalBook], Any]
    result: Future[Any]
    size_bytes: int
    execution_ids: frozenset[str]


class WriterThread:
    """Runs jobs in order, many per transaction."""

    def __init__(
        self,
        book: TransactionalBook,
        on_commit: Callable[[Committed], None],
        on_work: Callable[[float], None],
    ) -> None:
        """Start the thread.

        Args:
            book: What the jobs work on; the thread's own from now on, closed at the end.
            on_commit: Called in the thread after each commit.
            on_work: Called in the thread with the seconds that each transaction took.
        """
        self._book = book
        self._on_commit = on_commit
        self._on_work = on_work
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING_JOBS)
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(
        self,
        work: Callable[[TransactionalBook], T],
        size_bytes: int = 0,
        execution_ids: frozenset[str] = frozenset(),
    ) -> Future[T]:
        """Have `work` done in a transaction.

        Args:
            work: Changes the book; may be done anew after a roll-back. If it raises a ServiceError
                it must have changed nothing.
            size_bytes: What it keeps in memory until then.
            execution_ids: The executions it is about, as far as known.

        Returns:
            Its result, set after the commit.

        Raises:
            ResourceExhaustedError: STORE_BUSY: too much is waiting already.
            UnavailableError: STORE_UNAVAILABLE: the store is being closed.
        """
        job = _Job(work, Future(), size_bytes, execution_ids)
        with self._lock:
            if self._closing:
                raise unavailable()
            if self._waiting_bytes + size_bytes > MAX_WAITING_BYTES and self._waiting_bytes:
                raise _busy()
            try:
                self._jobs.put_nowait(job)
            except queue.Full:
                raise _busy() from None
            self._waiting_bytes += size_bytes
        return job.result

    def waiting_count(self) -> int:
        """Return about how many jobs wait for the next transaction; from any thread."""
        return self._jobs.qsize()

    def close(self) -> None:
        """Do what is waiting, then end the thread and close its connection."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._jobs.put(None, timeout=CLOSE_TIMEOUT_SECONDS)
        self._thread.join(CLOSE_TIMEOUT_SECONDS)

    def _run(self) -> None:
        open_ended = True
        while open_ended:
            group, open_ended = self._next_group()
            if group:
                self._commit(group)
        self._book.close()

    def _next_group(self) -> tuple[list[_Job], bool]:
        """Return the jobs that wait, and whether more may come."""
        group: list[_Job] = []
        size_bytes = 0
        entry = self._jobs.get()
        while entry is not None:
            with self._lock:
                self._waiting_bytes -= entry.size_bytes
            if entry.result.set_running_or_notify_cancel():
                group.append(entry)
                size_bytes += entry.size_bytes
            if len(group) >= MAX_GROUP_JOBS or size_bytes >= MAX_GROUP_BYTES:
                return group, True
            try:
                entry = self._jobs.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _commit(self, group: list[_Job]) -> None:
        started = time.perf_counter()
        try:
            outcomes = self._transact(group)
        except Exception as exc:
            error: Exception = exc
            if self._book.is_outage(exc):
                # Every producer sends again; a trace for each attempt would bury the cause.
                log.warning("store_unavailable", error_type=type(exc).__name__, error=str(exc))
                error = unavailable()
            elif len(group) > 1:
                # One bad job must not take its neighbours along.
                for job in group:
                    self._commit([job])
                return
            else:
                log.exception("store_write_failed", error_type=type(exc).__name__)
            for job in group:
                job.result.set_exception(error)
            return
        self._on_work(time.perf_counter() - started)
        for job, (value, refusal) in zip(group, outcomes, strict=True):
            if refusal is not None:
                job.result.set_exception(refusal)
            else:
                job.result.set_result(value)

    def _transact(self, group: list[_Job]) -> list[tuple[Any, ServiceError | None]]:
        """Do the jobs in one transaction; return their results and errors."""
        attempt = 1
        while True:
            try:
                self._book.begin(frozenset().union(*(job.execution_ids for job in group)))
                outcomes = [self._outcome(job) for job in group]
                committed = self._book.commit()
            except Exception as exc:
                self._roll_back()
                if attempt == MAX_ATTEMPTS or not self._book.is_transient(exc):
                    raise
                attempt += 1
            else:
                self._on_commit(committed)
                return outcomes

    def _outcome(self, job: _Job) -> tuple[Any, ServiceError | None]:
        try:
            return job.work(self._book), None
        except ServiceError as exc:
            return None, exc

    def _roll_back(self) -> None:
        try:
            self._book.roll_back()
        except Exception as exc:
            log.exception("store_rollback_failed", error_type=type(exc).__name__)


def _busy() -> ResourceExhaustedError:
    return ResourceExhaustedError(
        "STORE_BUSY", "The store is busy; send the batch again.", retry_seconds=0.5
    )

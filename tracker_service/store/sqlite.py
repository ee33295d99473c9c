"""The store in one SQLite file: nothing to install, nothing to run, safe against power loss."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tracker_service.migrations import migrate_sqlite
from tracker_service.store.database import DatabaseStore, unwatched, wall_clock_us
from tracker_service.store.file_lock import FileLock
from tracker_service.store.selection import Selection
from tracker_service.store.sqlite_book import SqliteBook
from tracker_service.store.writer_thread import WriterThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tracker_service.store.database import OnWork
    from tracker_service.store.interface import CommitListener, Committed

BUSY_TIMEOUT_SECONDS: Final = 10.0


class SqliteConnection:
    """A connection to the file; see `sql.SqlConnection`."""

    def __init__(self, path: Path, synchronous: str) -> None:
        """Open the file.

        Args:
            path: The file.
            synchronous: FULL or NORMAL.
        """
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
        connection.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; SQLite itself ends one when the disk is full."""
        return self._connection.in_transaction

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement."""
        return self._connection.execute(sql, values)

    def executemany(self, sql: str, values: Sequence[Sequence[Any]]) -> object:
        """Run a statement once per row of `values`."""
        return self._connection.executemany(sql, values)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all queries inside see the database at one moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def words_condition(self, words: Sequence[str]) -> tuple[str, list[Any]]:
        """Return the condition that an execution has words that begin so, and its values."""
        return (
            "executions.key IN (SELECT rowid FROM execution_words WHERE execution_words MATCH ?)",
            [_match(words)],
        )

    def words_selection(self, words: Sequence[str]) -> Selection:
        """Return the executions with words that begin so, in the order of their keys."""
        return Selection(
            "execution_words, executions",
            # The plus keeps SQLite from beginning with the executions.
            "execution_words MATCH ? AND executions.key = +execution_words.rowid",
            [_match(words)],
            ("execution_words.rowid",),
        )

    def save_words(self, key: int, words: Iterable[str]) -> None:
        """Store the words of an execution; none: forget them."""
        self._connection.execute("DELETE FROM execution_words WHERE rowid = ?", (key,))
        if text := " ".join(sorted(words)):
            self._connection.execute(
                "INSERT INTO execution_words (rowid, words) VALUES (?, ?)", (key, text)
            )

    def close(self) -> None:
        """Close it."""
        self._connection.close()


def _match(words: Sequence[str]) -> str:
    return " AND ".join(f'"{word}"*' for word in words)  # words hold letters and digits only


class SqliteDatabase:
    """A SQLite file; see `sql.Database`."""

    def __init__(self, path: Path, synchronous: str) -> None:
        """Read `path`; see `SqliteConnection`."""
        self._path = path
        self._synchronous = synchronous

    def connect(self) -> SqliteConnection:
        """Open a connection."""
        return SqliteConnection(self._path, self._synchronous)

    def is_outage(self, exc: Exception) -> bool:
        """Tell whether the disk is full, the file locked, and the like."""
        return isinstance(exc, sqlite3.OperationalError)


async def open_sqlite_store(
    path: Path,
    *,
    lease_seconds: float,
    on_commit: CommitListener,
    synchronous: str = "FULL",
    clock: Callable[[], int] = wall_clock_us,
    on_work: OnWork = unwatched,
) -> DatabaseStore:
    """Open the store, bringing its file to the present schema first.

    Args:
        path: The file; made if it is not there.
        lease_seconds: Lease of executions that say nothing else.
        on_commit: Told about each commit, in the running loop.
        synchronous: FULL; NORMAL is faster and loses the last seconds in a power cut.
        clock: The time, microseconds since 1970 UTC.
        on_work: Told how long transactions and questions take.

    Returns:
        The store; close it.

    Raises:
        ConfigurationError: Another process has it open, or a newer version wrote it.
    """
    loop = asyncio.get_running_loop()

    def tell(committed: Committed) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is over, so nobody waits any more
            loop.call_soon_threadsafe(on_commit, committed)

    def start() -> DatabaseStore:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f"{path.name}.lock"))
        migrate_sqlite(path)
        database = SqliteDatabase(path, synchronous)
        book = SqliteBook(database.connect(), round(lease_seconds * 1_000_000))
        writer = WriterThread(book, tell, partial(on_work, "write"))
        return DatabaseStore(database, writer, clock, lock.release, on_work)

    return await asyncio.to_thread(start)

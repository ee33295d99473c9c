"""Connections to PostgreSQL.

The driver is psycopg: it blocks, as the thread that writes wants it, speaks COPY, and is what
Alembic uses, too.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.string import TextLoader

from tracker_service.store.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

COMMITS: Final = "stellwerk_commits"
"""The channel on which replicas tell each other about commits."""

CONNECT_TIMEOUT_SECONDS: Final = 5
_OPTIONS: Final = "-c statement_timeout=60s -c lock_timeout=10s -c timezone=UTC"


def is_outage(exc: Exception) -> bool:
    """Tell whether `exc` says that the server is away, stopping, full or a standby."""
    return isinstance(exc, (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction))


class PostgresConnection:
    """A connection in autocommit mode; see `sql.SqlConnection`."""

    def __init__(self, url: str) -> None:
        """Connect.

        Args:
            url: The database, `postgresql://…`.

        Raises:
            psycopg.OperationalError: It cannot be reached.
        """
        self._connection = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            options=_OPTIONS,
            application_name="stellwerk-tracker",
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=20_000,  # milliseconds
        )
        self._connection.adapters.register_loader("uuid", TextLoader)

    @property
    def plain(self) -> psycopg.Connection:
        """The connection as the driver has it."""
        return self._connection

    def execute(self, sql: str, values: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        """Run a statement."""
        return self._connection.execute(_translated(sql), [_storable(value) for value in values])

    def executemany(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        """Run a statement once per row of `values`."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_translated(sql), values)

    @contextlib.contextmanager
    def copy(self, sql: str) -> Iterator[psycopg.Copy]:
        """Send rows by COPY."""
        with self._connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
            yield copy

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all queries inside see the database at one moment."""
        self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            self.roll_back()

    def words_condition(self, words: Sequence[str]) -> tuple[str, list[Any]]:
        """Return the condition that an execution has words that begin so, and its values."""
        return (
            "executions.key IN (SELECT execution_key FROM execution_words "
            "WHERE words @@ ?::tsquery)",
            [_query(words)],
        )

    def words_selection(self, words: Sequence[str]) -> Selection:
        """Return the executions with words that begin so, in the order of their keys."""
        return Selection(
            "execution_words, executions",
            # The plus keeps PostgreSQL from reading all executions beside the words, in step.
            "execution_words.words @@ ?::tsquery "
            "AND executions.key = +execution_words.execution_key",
            [_query(words)],
            ("execution_words.execution_key",),
        )

    def save_words(self, key: int, words: Iterable[str]) -> None:
        """Store the words of an execution; none: forget them."""
        if texts := sorted(words):
            self.execute(
                "INSERT INTO execution_words (execution_key, words) "
                "VALUES (?, array_to_tsvector(?::text[])) "
                "ON CONFLICT (execution_key) DO UPDATE SET words = excluded.words",
                (key, texts),
            )
        else:
            self.execute("DELETE FROM execution_words WHERE execution_key = ?", (key,))

    def roll_back(self) -> bool:
        """End the transaction, if one is open; return whether the connection is still good."""
        try:
            if self._connection.info.transaction_status != TransactionStatus.IDLE:
                self._connection.execute("ROLLBACK")
        except psycopg.Error:
            return False
        return True

    def close(self) -> None:
        """Close it."""
        self._connection.close()


def _query(words: Sequence[str]) -> str:
    return " & ".join(f"'{word}':*" for word in words)  # words hold letters and digits only


@functools.cache
def _translated(sql: str) -> bytes:
    # Bytes, since the driver warns of text that was put together; ours never holds data.
    return sql.replace("?", "%s").encode()


def _storable(value: Any) -> Any:
    """Replace U+0000, which PostgreSQL cannot hold: nothing stored has it, nothing is found."""
    if isinstance(value, str) and "\0" in value:
        return value.replace("\0", "\ufffd")
    return value

"""What the store asks of a database driver, so that its SQL is written once.

The drivers differ in little: how parameters are marked, how a moment is held still, which
exceptions mean "not now". Everything else is common SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from servicekit.errors import UnavailableError
from tracker_service.recording import Book

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tracker_service.store.interface import Committed
    from tracker_service.store.selection import Selection


class Rows(Protocol):
    """What a query found."""

    def __iter__(self) -> Iterator[Any]:
        """Go through the rows."""

    def fetchone(self) -> Any:
        """Return the next row; None: there is none."""

    def fetchall(self) -> list[Any]:
        """Return all rows."""


class SqlConnection(Protocol):
    """A connection in autocommit mode; parameters are marked by `?`."""

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        """Run a statement."""

    def executemany(self, sql: str, values: Sequence[Sequence[Any]]) -> object:
        """Run a statement once per row of `values`."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all queries inside see the database at one moment."""

    def words_condition(self, words: Sequence[str]) -> tuple[str, list[Any]]:
        """Return the condition that an execution has words that begin so, and its values."""

    def words_selection(self, words: Sequence[str]) -> Selection:
        """Return the executions with words that begin so, in the order of their keys."""

    def save_words(self, key: int, words: Iterable[str]) -> None:
        """Store the words of an execution; none: forget them."""

    def close(self) -> None:
        """Close it."""


class Database(Protocol):
    """A kind of database, and where it is."""

    def connect(self) -> SqlConnection:
        """Open a connection for reading."""

    def is_outage(self, exc: Exception) -> bool:
        """Tell whether `exc` says that the database cannot be used now."""


class TransactionalBook(Book, Protocol):
    """A book with its transactions; belongs to the one thread that writes."""

    @property
    def connection(self) -> SqlConnection:
        """The connection to work on."""

    def flush(self) -> None:
        """Write the changed executions and the new items into the transaction."""

    def remember_erased(self, user_id: str, now_us: int) -> None:
        """Note that a person is erased now."""

    def scrub(self) -> None:
        """Leave no trace of what was erased in the database's own files, after the commit."""

    def begin(self, execution_ids: Iterable[str]) -> None:
        """Begin a transaction that will mostly be about these executions."""

    def extend_leases(self, now_us: int) -> None:
        """Let every running lease last one full time from now."""

    def mark_file(self, key: int, revision: int) -> None:
        """Note that the file of this revision is written."""

    def commit(self) -> Committed:
        """Write what was changed, commit, and return what that was."""

    def roll_back(self) -> None:
        """Undo the transaction, if one is open; forget what was remembered of it."""

    def is_transient(self, exc: Exception) -> bool:
        """Tell whether the same transaction may well succeed if it is begun again at once."""

    def is_outage(self, exc: Exception) -> bool:
        """Tell whether `exc` says that the database cannot be used now."""

    def close(self) -> None:
        """Close the connection."""


def unavailable() -> UnavailableError:
    """Return the error for a database that cannot be used now."""
    return UnavailableError(
        "STORE_UNAVAILABLE", "The store cannot be reached now; try again.", retry_seconds=2.0
    )

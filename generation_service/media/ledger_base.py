"""The databases of the media ledger: a SQLite file, or PostgreSQL where several processes share it.

Both speak the same few statements. All of them come from one thread of the process, and those that
belong together are one transaction; transactions that change something wait for one another, also
those of other processes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Protocol

from generation_service.media.ledger_schema import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


class Answer(Protocol):
    """What a statement found."""

    def fetchone(self) -> Any:
        """The next row; None: there is none."""

    def fetchall(self) -> list[Any]:
        """All rows."""


class LedgerBase(Protocol):
    """A database with the tables of the ledger."""

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> Answer:
        """Do a statement whose values are marked by `?`."""

    def transaction(self) -> AbstractContextManager[None]:
        """Do what follows together or not at all."""

    def cut_log(self) -> None:
        """Let the database's own log forget what was deleted, as far as that is ours to do."""

    def close(self) -> None:
        """Close it."""


class SqliteLedgerBase:
    """A `LedgerBase` in a file."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; its folder is made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        prepare(self._base)

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> Answer:
        """See `LedgerBase.execute`."""
        return self._base.execute(statement, values)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See `LedgerBase.transaction`."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    def cut_log(self) -> None:
        """Deleted rows are overwritten (`secure_delete`); the log still has their old pages."""
        self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """See `LedgerBase.close`."""
        self._base.close()

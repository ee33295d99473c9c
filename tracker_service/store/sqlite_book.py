"""The executions at hand on the writing side of SQLite.

SQLite has one writer, this one, so what it remembers of recent executions is always true, and most
items are accounted for without a query.
"""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from tracker_service.items import MediaRef
from tracker_service.lifecycle import Execution
from tracker_service.store import rows
from tracker_service.store.sql_book import SqlBook

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracker_service.recording import NewItem
    from tracker_service.store.interface import Committed
    from tracker_service.store.sql import SqlConnection
    from tracker_service.store.sqlite import SqliteConnection

MAX_REMEMBERED: Final = 2048
"""Executions that are remembered between transactions."""


_MEDIA_COLUMNS: Final = [f"media_{name}" for name in MediaRef._fields]
_ITEM_COLUMNS: Final = [
    name
    for name in f"execution_key, position, {rows.ITEM_COLUMNS}".split(", ")
    if name not in _MEDIA_COLUMNS
]
_OPTIONAL: Final = ("stage_iteration", "loop_iteration", "run_duration_us")


def _insertion(columns: Sequence[str]) -> rows.ManyRows:
    # To the driver a None is a foreign object, and eight of them cost a third of a row's time.
    values = ["NULLIF(?, -1)" if name in _OPTIONAL else "?" for name in columns]
    return rows.ManyRows(f"INSERT INTO items ({', '.join(columns)})", values)


_INSERT_ITEMS: Final = _insertion(_ITEM_COLUMNS)
_INSERT_ITEMS_WITH_MEDIA: Final = _insertion(_ITEM_COLUMNS + _MEDIA_COLUMNS)


class SqliteBook(SqlBook):
    """See `sql.TransactionalBook`."""

    def __init__(self, connection: SqliteConnection, lease_us: int) -> None:
        """Work on `connection`, beside which nobody writes.

        Args:
            connection: In autocommit mode; closed with the book.
            lease_us: Lease of executions that say nothing else, microseconds.
        """
        super().__init__(lease_us)
        self._connection = connection
        self._remembered: OrderedDict[str, Execution] = OrderedDict()
        self._last_key: int | None = None
        self._open = False
        self._scrub = False

    @property
    def connection(self) -> SqlConnection:
        """The connection to work on."""
        return self._connection

    def begin(self, execution_ids: Iterable[str]) -> None:
        """Begin a transaction; what it is about does not matter to a single writer."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._open = True

    def commit(self) -> Committed:
        """Write what was changed, commit, and return what that was."""
        self.flush()
        self._connection.execute("COMMIT")
        self._open = False
        if self._scrub:
            self._compact()
            self._scrub = False
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return self.take_changes()

    def scrub(self) -> None:
        """Have the file rebuilt and its write-ahead log cut right after the commit."""
        self._scrub = True

    def _compact(self) -> None:
        # Deleted words stay in the segments of the index until these are merged.
        self._connection.execute(
            "INSERT INTO execution_words (execution_words) VALUES ('optimize')"
        )
        self._connection.execute("VACUUM")
        busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError("a reader kept the log from being cut")

    def roll_back(self) -> None:
        """Undo the transaction, if one is open."""
        self.forget()
        if self._open:
            self._open = False
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def is_transient(self, exc: Exception) -> bool:
        """A single writer meets nobody: what failed will fail again."""
        return False

    def is_outage(self, exc: Exception) -> bool:
        """Tell whether the disk is full, the file locked, and the like."""
        return isinstance(exc, sqlite3.OperationalError)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def find(self, execution_id: str) -> Execution | None:
        """Return an execution to read or change; None: there is none."""
        execution = self._remembered.get(execution_id)
        if execution is not None:
            self._remembered.move_to_end(execution_id)
            return execution
        row = self._connection.execute(
            f"SELECT {rows.EXECUTION_LIST} FROM executions WHERE execution_id = ?", (execution_id,)
        ).fetchone()
        if row is None:
            return None
        execution = rows.read_execution(row)
        self.load_history(execution)
        self.remember(execution)
        return execution

    def remember(self, execution: Execution) -> None:
        """Have `find` return just this object from now on."""
        self._remembered[execution.execution_id] = execution

    def at_hand(self) -> Iterable[Execution]:
        """Return the executions that `find` would return without asking."""
        return self._remembered.values()

    def forget(self) -> None:
        """Drop everything remembered."""
        super().forget()
        self._remembered.clear()
        self._last_key = None
        self._scrub = False

    def create(self, execution_id: str, start_time_us: int, now_us: int) -> Execution:
        """Begin a new execution; it stays only if it is touched."""
        if self._last_key is None:
            row = self._connection.execute("SELECT MAX(key) FROM executions").fetchone()
            self._last_key = row[0] or 0
        self._last_key += 1
        return Execution(
            key=self._last_key,
            execution_id=execution_id,
            start_time_us=start_time_us,
            lease_until_us=now_us + self.lease_us,
            lease_us=self.lease_us,
        )

    def inserted_ids(self, item_ids: Sequence[str]) -> set[str]:
        """Return which of these items have rows."""
        found = self._connection.execute(
            "SELECT item_id FROM items WHERE item_id IN (SELECT value FROM json_each(?))",
            (json.dumps(item_ids),),
        )
        return {item_id for (item_id,) in found}

    def insert_items(self, added: Sequence[NewItem]) -> None:
        """Write the rows of items."""
        bare = [_item_values(new) for new in added if new.item.media is None]
        with_media = [(*_item_values(new), *new.item.media) for new in added if new.item.media]
        _INSERT_ITEMS.run(self._connection, bare)
        _INSERT_ITEMS_WITH_MEDIA.run(self._connection, with_media)


def _item_values(new: NewItem) -> tuple[Any, ...]:
    """Return the values of `_ITEM_COLUMNS`; numbers that are not there are -1."""
    execution, position, item, seal = new
    first, second, duration = item.stage_iteration, item.loop_iteration, item.run_duration_us
    return (
        execution.key,
        position,
        item.item_id,
        *item[2:6],
        -1 if first is None else first,
        -1 if second is None else second,
        *item[8:11],
        *item[12:16],
        -1 if duration is None else duration,
        item.metadata_json,
        int(item.late),
        seal,
    )

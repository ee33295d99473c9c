"""The executions at hand on the writing side of PostgreSQL.

Other replicas write, too. So the rows of a transaction's executions are locked when it begins, and
what is remembered of an execution's numbers is believed only if its row says that nobody added any.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import psycopg

from tracker_service.lifecycle import Execution
from tracker_service.store import rows
from tracker_service.store.partitions import Partitions
from tracker_service.store.postgres_connection import COMMITS, is_outage
from tracker_service.store.sql_book import SqlBook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tracker_service.recording import NewItem
    from tracker_service.store.interface import Committed
    from tracker_service.store.postgres_connection import PostgresConnection

MAX_REMEMBERED: Final = 4096
"""Executions whose numbers are remembered between transactions."""

MAX_NOTE_BYTES: Final = 7000
"""PostgreSQL's notes hold less than 8 000 bytes."""

_ERASURES: Final = 0x6572617365  # a lock; any number, the same in every replica
_COPY_ITEMS: Final = f"COPY items (execution_key, position, {rows.ITEM_COLUMNS}) FROM STDIN"
# One statement for all: one by one, they would cost a third of a transaction.
_SAVE_EXECUTIONS: Final = (
    f"INSERT INTO executions ({rows.EXECUTION_LIST}) SELECT {rows.EXECUTION_LIST} "
    f"FROM json_populate_recordset(NULL::executions, ?::json) {rows.ON_KNOWN_EXECUTION}"
)
_TRANSIENT: Final = (
    psycopg.errors.UniqueViolation,  # another replica began the same execution
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
)


class PostgresBook(SqlBook):
    """See `sql.TransactionalBook`."""

    def __init__(
        self,
        connect: Callable[[], PostgresConnection],
        lease_us: int,
        clock: Callable[[], int],
        own_name: str,
    ) -> None:
        """Work on a connection of its own, opened anew when it breaks.

        Args:
            connect: Opens a connection.
            lease_us: Lease of executions that say nothing else, microseconds.
            clock: The time, microseconds since 1970 UTC.
            own_name: What this replica's notes bear.
        """
        super().__init__(lease_us)
        self._connect = connect
        self._clock = clock
        self._own_name = own_name
        self._link: PostgresConnection | None = connect()
        self._partitions = Partitions()
        self._at_hand: dict[str, Execution | None] = {}
        self._numbers: OrderedDict[str, tuple[int, list[int], dict[int, set[int]]]] = OrderedDict()
        self._keys: list[int] = []
        self._scrub = False

    @property
    def connection(self) -> PostgresConnection:
        """The connection to work on."""
        if self._link is None:
            self._link = self._connect()
        return self._link

    # --- transactions --------------------------------------------------------------------------

    def begin(self, execution_ids: Iterable[str]) -> None:
        """Begin a transaction; lock its executions, in an order that all replicas share."""
        names = sorted(execution_ids)
        self.connection.execute("BEGIN")
        found = self.connection.execute(
            f"SELECT {rows.EXECUTION_LIST} FROM executions WHERE execution_id = ANY(?) "
            "ORDER BY execution_id FOR UPDATE",
            (names,),
        )
        self._at_hand = dict.fromkeys(names)
        for row in found.fetchall():
            self._take_at_hand(row)
        unknown_count = sum(execution is None for execution in self._at_hand.values())
        self._reserve_keys(unknown_count)

    def commit(self) -> Committed:
        """Write what was changed, commit, tell the other replicas, and return what that was."""
        self.flush()
        for execution in self.at_hand():
            self._remember_numbers(execution)
        committed = self.take_changes()
        self._notify(committed)
        self.connection.execute("COMMIT")
        if self._scrub:
            self.connection.execute("VACUUM")
        self._clear()
        return committed

    def scrub(self) -> None:
        """Have the old versions of erased rows removed right after the commit."""
        self._scrub = True

    def roll_back(self) -> None:
        """Undo the transaction, if one is open; drop a connection that broke."""
        self.forget()
        self._numbers.clear()
        self._partitions = Partitions()  # one that was just made is gone again
        if self._link is not None and not self._link.roll_back():
            self._link.close()
            self._link = None

    def is_transient(self, exc: Exception) -> bool:
        """Tell whether another replica was just in the way."""
        return isinstance(exc, _TRANSIENT)

    def is_outage(self, exc: Exception) -> bool:
        """Tell whether the server is away, stopping, full, and the like."""
        return is_outage(exc)

    def close(self) -> None:
        """Close the connection."""
        if self._link is not None:
            self._link.close()

    # --- executions ----------------------------------------------------------------------------

    def find(self, execution_id: str) -> Execution | None:
        """Return an execution to read or change, locked; None: there is none."""
        if execution_id not in self._at_hand:
            row = self.connection.execute(
                f"SELECT {rows.EXECUTION_LIST} FROM executions WHERE execution_id = ? FOR UPDATE",
                (execution_id,),
            ).fetchone()
            if row is None:
                return None
            self._take_at_hand(row)
        return self._at_hand[execution_id]

    def remember(self, execution: Execution) -> None:
        """Have `find` return just this object from now on."""
        self._at_hand[execution.execution_id] = execution

    def at_hand(self) -> list[Execution]:
        """Return the executions that `find` would return without asking."""
        return [one for one in self._at_hand.values() if one is not None]

    def forget(self) -> None:
        """Drop everything at hand."""
        super().forget()
        self._clear()

    def create(self, execution_id: str, start_time_us: int, now_us: int) -> Execution:
        """Begin a new execution; it stays only if it is touched."""
        if not self._keys:
            self._reserve_keys(1)
        return Execution(
            key=self._keys.pop(0),
            execution_id=execution_id,
            start_time_us=start_time_us,
            lease_until_us=now_us + self.lease_us,
            lease_us=self.lease_us,
        )

    @property
    def for_update(self) -> str:
        """Clause that locks the rows found and passes over those that others hold."""
        return "FOR UPDATE SKIP LOCKED"

    # --- erasures ------------------------------------------------------------------------------

    def remember_erased(self, user_id: str, now_us: int) -> None:
        """Note that a person is erased, once all replicas have stored what they were storing."""
        self.connection.execute("SELECT pg_advisory_xact_lock(?)", (_ERASURES,))
        super().remember_erased(user_id, now_us)

    def newest_erasure_us(self) -> int:
        """Return when somebody was erased last, by any replica."""
        self.connection.execute("SELECT pg_advisory_xact_lock_shared(?)", (_ERASURES,))
        return super().newest_erasure_us()

    # --- items ---------------------------------------------------------------------------------

    def inserted_ids(self, item_ids: Sequence[str]) -> set[str]:
        """Return which of these items have rows."""
        found = self.connection.execute(
            # The bounds are for the planner: they name the partitions that need be looked at.
            "SELECT item_id FROM items WHERE item_id = ANY(?::uuid[]) "
            "AND item_id >= ?::uuid AND item_id <= ?::uuid",
            (list(item_ids), min(item_ids), max(item_ids)),
        )
        return {item_id for (item_id,) in found}

    def insert_items(self, added: Sequence[NewItem]) -> None:
        """Write the rows of items, into partitions that are made when they are missing."""
        names = [new.item.item_id for new in added]
        for month in self._partitions.missing(names, self._clock()):
            self._partitions.make(self.connection.plain, month)
        with self.connection.copy(_COPY_ITEMS) as copy:
            for new in added:
                copy.write_row(rows.item_values(new))

    def save_executions(self, executions: Iterable[Execution]) -> None:
        """Write the rows of executions."""
        forms = [_row_form(rows.execution_values(one)) for one in executions]
        self.connection.execute(_SAVE_EXECUTIONS, (json.dumps(forms),))

    # --- inside --------------------------------------------------------------------------------

    def _take_at_hand(self, row: Any) -> None:
        execution = rows.read_execution(row)
        item_count, claims, numbers = self._numbers.pop(execution.execution_id, (-1, [], {}))
        if item_count == execution.item_count and len(claims) == execution.epoch:
            execution.claims, execution.numbers = claims, numbers
        else:
            self.load_history(execution)
        self._at_hand[execution.execution_id] = execution

    def _remember_numbers(self, execution: Execution) -> None:
        self._numbers[execution.execution_id] = (
            execution.item_count,
            execution.claims,
            execution.numbers,
        )
        while len(self._numbers) > MAX_REMEMBERED:
            self._numbers.popitem(last=False)

    def _reserve_keys(self, count: int) -> None:
        if count:
            found = self.connection.execute(
                "SELECT nextval('execution_keys') FROM generate_series(1, ?)", (count,)
            )
            self._keys += [key for (key,) in found]

    def _notify(self, committed: Committed) -> None:
        """Wake the watchers of the other replicas, once this is committed."""
        names: list[str] = []
        size_bytes = 0
        for name in (*committed.execution_ids, ""):
            if names and (not name or size_bytes + len(name) + 4 > MAX_NOTE_BYTES):
                note = {
                    "from": self._own_name,
                    "executions": names,
                    "completed": committed.completed,
                }
                self.connection.execute("SELECT pg_notify(?, ?)", (COMMITS, json.dumps(note)))
                names, size_bytes = [], 0
            names.append(name)
            size_bytes += len(name) + 4

    def _clear(self) -> None:
        self._at_hand = {}
        self._keys = []
        self._scrub = False


def _row_form(values: Sequence[Any]) -> dict[str, Any]:
    """Return the row of an execution as `json_populate_recordset` reads it."""
    return {
        name: f"\\x{value.hex()}" if isinstance(value, bytes) else value
        for name, value in zip(rows.EXECUTION_COLUMNS, values, strict=True)
    }

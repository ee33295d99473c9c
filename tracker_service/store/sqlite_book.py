"""The executions at hand on the writing side of SQLite.

SQLite has one writer, this one, so what it remembers of recent executions is always true, and most
items are accounted for without a query.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from tracker_service.lifecycle import Execution
from tracker_service.store import sqlite_rows as rows
from tracker_service.store.interface import Committed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from tracker_service.items import ExecutionItem
    from tracker_service.store.interface import Plan

MAX_REMEMBERED: Final = 2048
"""Executions that are remembered between transactions."""

MAX_EXPIRED: Final = 500
"""Executions that lapse in one transaction."""


class SqliteBook:
    """Executions, items and claims inside one transaction; see `recording.Book`."""

    def __init__(self, connection: sqlite3.Connection, lease_us: int) -> None:
        """Read on `connection`, which nobody else writes to.

        Args:
            connection: In autocommit mode; transactions are begun and ended by the writer.
            lease_us: Lease of executions that say nothing else, microseconds.
        """
        self._connection = connection
        self._lease_us = lease_us
        self._remembered: OrderedDict[str, Execution] = OrderedDict()
        self._changed: dict[str, Execution] = {}
        self._changed_since_commit: dict[str, Execution] = {}
        self._last_key: int | None = None

    def find(self, execution_id: str) -> Execution | None:
        """Return an execution to read or change; None: there is none."""
        execution = self._remembered.get(execution_id)
        if execution is not None:
            self._remembered.move_to_end(execution_id)
            return execution
        execution = self._load("execution_id", execution_id)
        if execution is not None:
            self._remembered[execution_id] = execution
        return execution

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
            lease_until_us=now_us + self._lease_us,
            lease_us=self._lease_us,
        )

    def touch(self, execution: Execution) -> None:
        """Say that `execution` was changed."""
        self._remembered[execution.execution_id] = execution
        self._changed[execution.execution_id] = execution

    def stored_ids(self, item_ids: Sequence[str]) -> set[str]:
        """Return which of these items are stored."""
        found = self._connection.execute(
            "SELECT item_id FROM items WHERE item_id IN (SELECT value FROM json_each(?))",
            (json.dumps(item_ids),),
        )
        return {item_id for (item_id,) in found}

    def add_items(self, added: Sequence[tuple[Execution, int, ExecutionItem]]) -> None:
        """Store items at their positions."""
        values: list[object] = []
        for execution, position, item in added:
            values += rows.item_values(execution.key, position, item)
        width = rows.ITEM_PARAMETERS
        begin = 0
        for count in rows.INSERT_CHUNKS:
            while len(values) - begin >= count * width:
                end = begin + count * width
                self._connection.execute(rows.INSERT_ITEMS[count], values[begin:end])
                begin = end

    def add_plans(self, plans: Iterable[Plan]) -> None:
        """Store plans; those that are there stay."""
        self._connection.executemany(
            "INSERT INTO plans (plan_digest, plan_json) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(plan.plan_digest, plan.plan_json) for plan in plans],
        )

    def add_claim(self, execution: Execution, now_us: int) -> None:
        """Store the present claim of `execution`."""
        self.touch(execution)
        self._connection.execute(
            "INSERT INTO claims (execution_key, epoch, first_number, owner_address, claim_time_us) "
            "VALUES (?, ?, ?, ?, ?)",
            (
                execution.key,
                execution.epoch,
                execution.claims[-1],
                execution.owner_address,
                now_us,
            ),
        )

    def execution_of_key(self, user_id: str, idempotency_key: str) -> Execution | None:
        """Return the execution for which a user's key was used; None: it was not."""
        self.flush()  # the key may belong to an execution of this very transaction
        row = self._connection.execute(
            "SELECT execution_id FROM idempotency_keys JOIN executions ON key = execution_key "
            "WHERE idempotency_keys.user_id = ? AND idempotency_key = ?",
            (user_id, idempotency_key),
        ).fetchone()
        return self.find(row[0]) if row else None

    def keep_key(self, user_id: str, idempotency_key: str, execution: Execution) -> None:
        """Store that a user's key was used for `execution`."""
        self._connection.execute(
            "INSERT INTO idempotency_keys (user_id, idempotency_key, execution_key) "
            "VALUES (?, ?, ?)",
            (user_id, idempotency_key, execution.key),
        )

    def expired(self, now_us: int) -> list[Execution]:
        """Return executions whose lease is over."""
        self.flush()
        found = self._connection.execute(
            "SELECT execution_id FROM executions "
            # As literals: with parameters SQLite would not see that its partial index fits.
            "WHERE state = 'running' AND lease_until_us < ? ORDER BY lease_until_us LIMIT ?",
            (now_us, MAX_EXPIRED),
        ).fetchall()
        return [one for (name,) in found if (one := self.find(name)) is not None]

    def extend_leases(self, now_us: int) -> None:
        """Let every running lease last one full time from now."""
        self.flush()
        self._remembered.clear()
        self._connection.execute(
            "UPDATE executions SET lease_until_us = ? + lease_us WHERE state = 'running'",
            (now_us,),
        )

    def mark_file(self, key: int, revision: int) -> None:
        """Note that the file of this revision is written."""
        row = self._connection.execute(
            "UPDATE executions SET file_revision = ? WHERE key = ? RETURNING execution_id",
            (revision, key),
        ).fetchone()
        if row is not None and row[0] in self._remembered:
            # Not touched: nobody waits for this change.
            self._remembered[row[0]].file_revision = revision

    def flush(self) -> None:
        """Write the changed executions into the transaction."""
        if self._changed:
            self._connection.executemany(
                rows.SAVE_EXECUTION,
                [rows.execution_values(one) for one in self._changed.values()],
            )
            self._changed_since_commit.update(self._changed)
            self._changed.clear()

    def committed(self) -> Committed:
        """Return what the transaction changed, once it is committed."""
        changed, self._changed_since_commit = self._changed_since_commit, {}
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return Committed(frozenset(changed), any(one.complete for one in changed.values()))

    def forget(self) -> None:
        """Drop everything remembered: the transaction was rolled back."""
        self._remembered.clear()
        self._changed.clear()
        self._changed_since_commit.clear()
        self._last_key = None

    def _load(self, column: str, value: object) -> Execution | None:
        row = self._connection.execute(
            f"SELECT {rows.EXECUTION_LIST} FROM executions WHERE {column} = ?", (value,)
        ).fetchone()
        if row is None:
            return None
        execution = rows.read_execution(row)
        claims = self._connection.execute(
            "SELECT first_number FROM claims WHERE execution_key = ? AND epoch > 1 ORDER BY epoch",
            (execution.key,),
        )
        execution.claims += [number for (number,) in claims]
        numbers = self._connection.execute(
            "SELECT epoch, sequence_number FROM items WHERE execution_key = ?", (execution.key,)
        )
        for epoch, number in numbers:
            execution.numbers.setdefault(epoch, set()).add(number)
        return execution

"""The executions at hand on the writing side: what all SQL databases have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from tracker_service.records import OPEN_STATES
from tracker_service.store import erased_people, rows
from tracker_service.store.interface import Committed
from tracker_service.store.sql_erasures import add_late_erasure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracker_service.lifecycle import Execution
    from tracker_service.recording import NewItem
    from tracker_service.records import ExecutionState
    from tracker_service.store.interface import Plan
    from tracker_service.store.sql import SqlConnection

MAX_EXPIRED: Final = 500
"""Executions that lapse in one transaction."""


class SqlBook(ABC):
    """Executions, items and claims inside one transaction; see `sql.TransactionalBook`."""

    def __init__(self, lease_us: int) -> None:
        """Begin with nothing at hand.

        Args:
            lease_us: Lease of executions that say nothing else, microseconds.
        """
        self.lease_us = lease_us
        self._changed: dict[str, Execution] = {}
        self._changed_since_commit: dict[str, Execution] = {}
        self._new_items: list[NewItem] = []
        self._new_ids: set[str] = set()
        self._newest_erasure_us: int | None = None

    @property
    @abstractmethod
    def connection(self) -> SqlConnection:
        """The connection to work on."""

    @abstractmethod
    def find(self, execution_id: str) -> Execution | None:
        """Return an execution to read or change; None: there is none."""

    @abstractmethod
    def remember(self, execution: Execution) -> None:
        """Have `find` return just this object from now on."""

    @abstractmethod
    def at_hand(self) -> Iterable[Execution]:
        """Return the executions that `find` would return without asking."""

    def touch(self, execution: Execution) -> None:
        """Say that `execution` was changed."""
        self.remember(execution)
        self._changed[execution.execution_id] = execution

    def add_items(self, added: Sequence[NewItem]) -> None:
        """Store items at their positions, all of a transaction together."""
        self._new_items += added
        self._new_ids.update(new.item.item_id for new in added)

    def stored_ids(self, item_ids: Sequence[str]) -> set[str]:
        """Return which of these items are stored, or will be by this transaction."""
        return self.inserted_ids(item_ids) | self._new_ids.intersection(item_ids)

    @abstractmethod
    def insert_items(self, added: Sequence[NewItem]) -> None:
        """Write the rows of items."""

    @abstractmethod
    def inserted_ids(self, item_ids: Sequence[str]) -> set[str]:
        """Return which of these items have rows."""

    def add_plans(self, plans: Iterable[Plan]) -> None:
        """Store plans; those that are there stay."""
        self.connection.executemany(
            "INSERT INTO plans (plan_digest, plan_json) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(plan.plan_digest, plan.plan_json) for plan in plans],
        )

    def add_claim(self, execution: Execution, now_us: int) -> None:
        """Store the present claim of `execution`."""
        self.touch(execution)
        self.connection.execute(
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
        row = self.connection.execute(
            "SELECT execution_id FROM idempotency_keys JOIN executions ON key = execution_key "
            "WHERE idempotency_keys.user_id = ? AND idempotency_key = ?",
            (user_id, idempotency_key),
        ).fetchone()
        return self.find(row[0]) if row else None

    def keep_key(self, user_id: str, idempotency_key: str, execution: Execution) -> None:
        """Store that a user's key was used for `execution`."""
        self.connection.execute(
            "INSERT INTO idempotency_keys (user_id, idempotency_key, execution_key) "
            "VALUES (?, ?, ?)",
            (user_id, idempotency_key, execution.key),
        )

    def remember_erased(self, user_id: str, now_us: int) -> None:
        """Note that a person is erased now; what began before is not recorded any more."""
        erased_people.remember_erased(self.connection, user_id, now_us)
        self._newest_erasure_us = None

    def was_erased(self, user_id: str, time_us: int) -> bool:
        """Tell whether a person was erased at or after a time."""
        if self._newest_erasure_us is None:
            self._newest_erasure_us = self.newest_erasure_us()
        # Nearly every execution begins later than that, and needs no second look.
        return time_us <= self._newest_erasure_us and erased_people.was_erased(
            self.connection, user_id, time_us
        )

    def erase_rest(self, execution: Execution, now_us: int) -> None:
        """Have the eraser see to what there is of an execution that only now turns out erased."""
        add_late_erasure(self.connection, execution, now_us)

    def newest_erasure_us(self) -> int:
        """Return when somebody was erased last; no erasure is noted before our commit."""
        return erased_people.newest_erasure_us(self.connection)

    def expired(self, now_us: int) -> list[Execution]:
        """Return executions whose lease is over."""
        self.flush()
        found = [name for state in OPEN_STATES for name in self._expired_in(state, now_us)]
        return [one for name in found if (one := self.find(name)) is not None]

    def _expired_in(self, state: ExecutionState, now_us: int) -> list[str]:
        found = self.connection.execute(
            "SELECT execution_id FROM executions "
            # As literals: with parameters SQLite would not see that its partial index fits.
            f"WHERE state = '{state}' AND lease_until_us < ? "
            f"ORDER BY lease_until_us LIMIT {MAX_EXPIRED} {self.for_update}",
            (now_us,),
        ).fetchall()
        return [name for (name,) in found]

    @property
    def for_update(self) -> str:
        """Clause that locks the rows found and passes over those that others hold."""
        return ""

    def extend_leases(self, now_us: int) -> None:
        """Let every running lease last one full time from now."""
        self.flush()
        self.connection.execute(
            "UPDATE executions SET lease_until_us = ? + lease_us WHERE state IN (?, ?)",
            (now_us, *OPEN_STATES),
        )
        for execution in self.at_hand():
            if execution.state in OPEN_STATES:
                execution.lease_until_us = now_us + execution.lease_us

    def mark_file(self, key: int, revision: int) -> None:
        """Note that the file of this revision is written."""
        self.flush()
        row = self.connection.execute(
            "UPDATE executions SET file_revision = ? WHERE key = ? RETURNING execution_id",
            (revision, key),
        ).fetchone()
        if row is not None and (execution := self.find(row[0])) is not None:
            execution.file_revision = revision  # not touched: nobody waits for this change

    def flush(self) -> None:
        """Write the changed executions and the new items into the transaction."""
        if self._changed:
            self.save_executions(self._changed.values())
            self._changed_since_commit.update(self._changed)
            self._changed.clear()
        if self._new_items:
            self.insert_items(self._new_items)
            self._new_items.clear()
            self._new_ids.clear()

    def save_executions(self, executions: Iterable[Execution]) -> None:
        """Write the rows of executions."""
        rows.SAVE_EXECUTIONS.run(self.connection, map(rows.execution_values, executions))

    def take_changes(self) -> Committed:
        """Return what the transaction changed, and begin to count anew."""
        self._newest_erasure_us = None
        changed, self._changed_since_commit = self._changed_since_commit, {}
        return Committed(frozenset(changed), any(one.complete for one in changed.values()))

    def forget(self) -> None:
        """Drop everything remembered."""
        self._new_items.clear()
        self._new_ids.clear()
        self._changed.clear()
        self._changed_since_commit.clear()
        self._newest_erasure_us = None

    def load_history(self, execution: Execution) -> None:
        """Read the claims and numbers of an execution whose row was read."""
        claims = self.connection.execute(
            "SELECT first_number FROM claims WHERE execution_key = ? AND epoch > 1 ORDER BY epoch",
            (execution.key,),
        )
        execution.claims += [number for (number,) in claims]
        if execution.item_count == 0:
            return
        numbers = self.connection.execute(
            "SELECT epoch, sequence_number FROM items WHERE execution_key = ?", (execution.key,)
        )
        for epoch, number in numbers:
            execution.numbers.setdefault(epoch, set()).add(number)

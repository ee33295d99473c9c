"""Questions to the store, each on a connection of its own thread.

Every question is one short read transaction: a long one would keep SQLite's write-ahead log from
being cut, and the file would grow as long as somebody reads; PostgreSQL could not clean up either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from servicekit.errors import NotFoundError
from tracker_service.chain import ChainReport, ChainState, verify_chain
from tracker_service.lifecycle import execution_not_found
from tracker_service.records import MAX_MISSING, ExecutionRecord, ExecutionState
from tracker_service.store import rows
from tracker_service.store.interface import (
    ExecutionPage,
    FileEntry,
    ItemsPage,
    KeyedRecord,
    Owner,
    PageKey,
    Plan,
)
from tracker_service.store.selection import condition_of, selection_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracker_service.access import Audience
    from tracker_service.chain import SealedItem
    from tracker_service.items import ExecutionItem
    from tracker_service.lifecycle import Execution
    from tracker_service.records import ExecutionSummary
    from tracker_service.store.interface import ExecutionFilter
    from tracker_service.store.sql import SqlConnection

MAX_MISSING_IN_PAGE: Final = 100
"""Missing numbers per execution in lists, so that a page stays within a message."""

_QUALIFIED_LIST: Final = ", ".join(f"executions.{name}" for name in rows.EXECUTION_COLUMNS)
RECORDS_AT_ONCE: Final = 64
ITEMS_AT_ONCE: Final = 1_000
"""Items after which a read of several records ends, so that few are in memory at once."""
FILES_PER_PAGE: Final = 100
ITEMS_PER_PAGE: Final = 500


class Reads:
    """The questions that a connection can answer."""

    def __init__(self, connection: SqlConnection) -> None:
        """Ask `connection`, which belongs to one thread and is in autocommit mode."""
        self._connection = connection

    def summary(self, execution_id: str, audience: Audience) -> ExecutionSummary:
        """See `Store.summary`."""
        return self._summary(self._execution(execution_id, audience), MAX_MISSING)

    def owner_of(self, execution_id: str, audience: Audience, now_us: int) -> Owner:
        """See `Store.owner_of`; the time in microseconds since 1970 UTC."""
        execution = self._execution(execution_id, audience)
        owned = execution.is_owned(now_us)
        return Owner(owned, execution.owner_address if owned else "")

    def record_of(self, execution_id: str, audience: Audience) -> KeyedRecord:
        """See `Store.record_of`."""
        with self._connection.snapshot():  # the row and its items must be of one moment
            return self._record(self._execution(execution_id, audience), audience)

    def record_by_key(self, key: int, audience: Audience) -> KeyedRecord | None:
        """See `Store.record_by_key`."""
        with self._connection.snapshot():
            execution = self._one("key = ?", key)
            return None if execution is None else self._record(execution, audience)

    def records_after(
        self, wanted: ExecutionFilter, audience: Audience, after: int, until: int
    ) -> list[KeyedRecord]:
        """See `Store.records_after`."""
        conditions, values = condition_of(self._connection, wanted, audience)
        executions: list[Execution] = []
        item_count = 0
        with self._connection.snapshot():
            found = self._connection.execute(
                f"SELECT {rows.EXECUTION_LIST} FROM executions WHERE {conditions} "
                "AND key > ? AND key <= ? ORDER BY key LIMIT ?",
                (*values, after, until, RECORDS_AT_ONCE),
            ).fetchall()
            for execution in map(rows.read_execution, found):
                item_count += execution.item_count
                if executions and item_count > ITEMS_AT_ONCE:
                    break
                executions.append(execution)
            return self._records(executions, audience)

    def plan(self, execution_id: str, audience: Audience) -> Plan:
        """See `Store.plan`."""
        execution = self._execution(execution_id, audience)
        row = self._connection.execute(
            "SELECT plan_digest, plan_json FROM plans WHERE plan_digest = ?",
            (execution.plan_digest,),
        ).fetchone()
        if row is None:
            raise NotFoundError("PLAN_NOT_FOUND", "The plan of this execution was never stored.")
        return Plan(*row)

    def page(
        self, wanted: ExecutionFilter, audience: Audience, size: int, after: PageKey | None
    ) -> ExecutionPage:
        """See `Store.page`."""
        chosen = selection_of(self._connection, wanted, audience)
        condition, values = chosen.condition, chosen.values
        direction, behind = ("ASC", ">") if wanted.oldest_first else ("DESC", "<")
        if after is not None:
            place = [after.start_time_us, after.key][-len(chosen.order) :]
            marks = ", ".join("?" * len(place))
            condition += f" AND ({', '.join(chosen.order)}) {behind} ({marks})"
            values += place
        order = ", ".join(f"{column} {direction}" for column in chosen.order)
        found = self._connection.execute(
            f"SELECT {_QUALIFIED_LIST} FROM {chosen.tables} WHERE {condition} "
            f"ORDER BY {order} LIMIT ?",
            (*values, size + 1),
        ).fetchall()
        executions = [rows.read_execution(row) for row in found]
        more = len(executions) > size
        executions = executions[:size]
        return ExecutionPage(
            tuple(self._summary(one, MAX_MISSING_IN_PAGE) for one in executions),
            PageKey(executions[-1].start_time_us, executions[-1].key) if more else None,
        )

    def items_after(
        self, execution_id: str, audience: Audience, position: int, limit: int
    ) -> ItemsPage:
        """See `Store.items_after`."""
        # The row first: what is committed in between is then seen next time, never skipped.
        execution = self._execution(execution_id, audience)
        found = self._connection.execute(
            f"{rows.SELECT_ITEM} AND position > ? AND position <= ? ORDER BY position LIMIT ?",
            (execution.key, position, execution.item_count, limit),
        )
        stored = [rows.stored_item(execution_id, row) for row in found]
        return ItemsPage(
            items=tuple(one._replace(item=audience.shown(one.item)) for one in stored),
            state=ExecutionState(execution.state),
            terminal_position=execution.terminal_position,
            last_position=execution.item_count,
            complete=bool(execution.complete),
        )

    def keys_of(self, execution_ids: Sequence[str], audience: Audience) -> list[int]:
        """See `Store.keys_of`."""
        return sorted({self._execution(one, audience).key for one in execution_ids})

    def last_key(self) -> int:
        """See `Store.last_key`."""
        return int(self._connection.execute("SELECT MAX(key) FROM executions").fetchone()[0] or 0)

    def next_key(
        self, wanted: ExecutionFilter, audience: Audience, after: int, until: int
    ) -> int | None:
        """See `Store.next_key`."""
        conditions, values = condition_of(self._connection, wanted, audience)
        row = self._connection.execute(
            f"SELECT key FROM executions WHERE {conditions} AND key > ? AND key <= ? "
            "ORDER BY key LIMIT 1",
            (*values, after, until),
        ).fetchone()
        return row[0] if row else None

    def chain(self, execution_id: str, audience: Audience) -> ChainReport:
        """See `Store.chain`."""
        with self._connection.snapshot():
            execution = self._execution(execution_id, audience)
            report = ChainReport(
                execution_id=execution_id,
                state=ChainState.VALID,
                position=0,
                item_count=execution.item_count,
                # Without a head no item came since there are chains.
                unchained_count=(
                    execution.unchained_count if execution.chain_head else execution.item_count
                ),
                erased=execution.erased_time_us is not None,
                head=execution.chain_head,
            )
            return verify_chain(report, execution.chain_key, self._sealed_items(execution))

    def _sealed_items(self, execution: Execution) -> Iterator[SealedItem]:
        """Yield the items by position, a page in memory at a time."""
        position = 0
        while True:
            found = self._connection.execute(
                f"{rows.SELECT_ITEM} AND position > ? ORDER BY position LIMIT {ITEMS_PER_PAGE}",
                (execution.key, position),
            ).fetchall()
            yield from (rows.sealed_item(execution.execution_id, row) for row in found)
            if len(found) < ITEMS_PER_PAGE:
                return
            position = found[-1][0]

    def outdated_files(self, *, only_complete: bool, after: int) -> list[FileEntry]:
        """See `Store.outdated_files`."""
        state = "complete = 1" if only_complete else "bound = 1"
        return self._files(f"file_revision < revision AND {state} AND key > ?", after)

    def complete_files(self, after: int) -> list[FileEntry]:
        """See `Store.complete_files`."""
        return self._files("complete = 1 AND erased_time_us IS NULL AND key > ?", after)

    def _files(self, condition: str, after: int) -> list[FileEntry]:
        found = self._connection.execute(
            f"SELECT key, execution_id, config_name FROM executions WHERE {condition} "
            "ORDER BY key LIMIT ?",
            (after, FILES_PER_PAGE),
        )
        return [FileEntry(*row) for row in found]

    def _execution(self, execution_id: str, audience: Audience) -> Execution:
        execution = self._one("execution_id = ?", execution_id)
        if execution is None or not audience.may_read(execution.session_id, execution.group_id):
            raise execution_not_found()
        return execution

    def _one(self, condition: str, value: object) -> Execution | None:
        row = self._connection.execute(
            f"SELECT {rows.EXECUTION_LIST} FROM executions WHERE {condition}", (value,)
        ).fetchone()
        return rows.read_execution(row) if row else None

    def _record(self, execution: Execution, audience: Audience) -> KeyedRecord:
        (record,) = self._records([execution], audience)
        return record

    def _records(self, executions: list[Execution], audience: Audience) -> list[KeyedRecord]:
        """Return executions with their items, which one query finds for all."""
        if not executions:
            return []
        owners: dict[int, tuple[str, list[ExecutionItem]]] = {
            one.key: (one.execution_id, []) for one in executions
        }
        found = self._connection.execute(
            f"{rows.SELECT_ITEMS} IN ({', '.join('?' * len(owners))}) "
            "ORDER BY execution_key, epoch, sequence_number",
            list(owners),
        )
        for row in found:
            execution_id, items = owners[row[0]]
            items.append(audience.shown(rows.item_of(execution_id, row)))
        return [
            KeyedRecord(
                one.key,
                one.revision,
                ExecutionRecord(self._summary(one, MAX_MISSING), tuple(owners[one.key][1])),
            )
            for one in executions
        ]

    def _summary(self, execution: Execution, limit: int) -> ExecutionSummary:
        missing: list[int] = []
        if execution.numbered_count < execution.highest_number:
            gaps = self._connection.execute(
                rows.MISSING, (execution.key, execution.highest_number, limit)
            )
            for first, last in gaps:
                missing += range(first, min(last, first + limit - len(missing) - 1) + 1)
                if len(missing) >= limit:
                    break
        return rows.summary_of(execution, tuple(missing))

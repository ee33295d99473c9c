"""SQL of the stores, and the mapping between their rows and the domain.

Plain SQL, prepared once, because the write path must keep tens of thousands of items per second;
the migrations own the schema.
"""

from __future__ import annotations

from dataclasses import fields
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from tracker_service.chain import SealedItem
from tracker_service.items import ExecutionItem, MediaRef, StoredItem
from tracker_service.lifecycle import Execution
from tracker_service.records import ExecutionState, ExecutionSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tracker_service.recording import NewItem
    from tracker_service.store.sql import SqlConnection

    Row = Sequence[Any]

_CHUNKS: Final = (512, 64, 16, 4, 1)


class ManyRows:
    """A statement that inserts many rows at once.

    Each statement hands the interpreter's lock back and forth; waiting for it costs far more than
    a row does.
    """

    def __init__(self, beginning: str, values: Sequence[str], end: str = "") -> None:
        """Insert rows.

        Args:
            beginning: What stands before VALUES.
            values: The values of a row; each `?` is one that is given.
            end: What stands behind the rows.
        """
        row = f"({', '.join(values)})"
        self._width = row.count("?")
        self._statements = [
            (count, f"{beginning} VALUES {', '.join([row] * count)} {end}") for count in _CHUNKS
        ]

    def run(self, connection: SqlConnection, rows: Iterable[Row]) -> None:
        """Insert `rows` in their order."""
        values = list(chain.from_iterable(rows))
        begin = 0
        for count, statement in self._statements:
            size = count * self._width
            while len(values) - begin >= size:
                connection.execute(statement, values[begin : begin + size])
                begin += size


_NOT_COLUMNS: Final = ("claims", "numbers")
EXECUTION_COLUMNS: Final = tuple(
    one.name for one in fields(Execution) if one.name not in _NOT_COLUMNS
)
EXECUTION_LIST: Final = ", ".join(EXECUTION_COLUMNS)
execution_values: Final[Callable[[Execution], tuple[Any, ...]]] = attrgetter(*EXECUTION_COLUMNS)

_UPDATES: Final = ", ".join(
    f"{name} = excluded.{name}" for name in EXECUTION_COLUMNS if name not in ("key", "execution_id")
)
ON_KNOWN_EXECUTION: Final = f"ON CONFLICT (key) DO UPDATE SET {_UPDATES}"
_NO_MEDIA: Final = (None,) * len(MediaRef._fields)
ITEM_COLUMNS: Final = (
    "item_id, epoch, sequence_number, occur_time_us, stage, stage_iteration, loop_iteration, "
    "media_type, item_type, content, media_uri, media_sha256, media_size_bytes, media_mime_type, "
    "media_filename, config_used, model_used, backend_used, backend_job_id, run_duration_us, "
    "metadata, late, seal"
)
SAVE_EXECUTIONS: Final = ManyRows(
    f"INSERT INTO executions ({EXECUTION_LIST})", "?" * len(EXECUTION_COLUMNS), ON_KNOWN_EXECUTION
)
SELECT_ITEM: Final = f"SELECT position, {ITEM_COLUMNS} FROM items WHERE execution_key = ?"
SELECT_ITEMS: Final = f"SELECT execution_key, {ITEM_COLUMNS} FROM items WHERE execution_key"

MISSING: Final = """
    SELECT previous + 1, sequence_number - 1 FROM (
        SELECT sequence_number, COALESCE(
                   LAG(sequence_number) OVER (ORDER BY sequence_number), 0) AS previous
        FROM (
            SELECT sequence_number FROM items WHERE execution_key = ? AND late = 0
            UNION SELECT ? + 1
        ) AS numbered
    ) AS gaps WHERE sequence_number > previous + 1 ORDER BY 1 LIMIT ?"""
"""Gaps in the numbering, as first and last missing number; of a key, a highest number, a limit."""


def item_values(new: NewItem) -> tuple[Any, ...]:
    """Return the values of one row of `items`."""
    execution, position, item, seal = new
    # The columns have the order of the item's fields, so slices do for most of them.
    return (
        execution.key,
        position,
        item.item_id,
        *item[2:11],
        *(item.media or _NO_MEDIA),
        *item[12:18],
        int(item.late),
        seal,
    )


def item_of(execution_id: str, row: Row) -> ExecutionItem:
    """Read a row of `SELECT_ITEM` or `SELECT_ITEMS`."""
    media = None if row[11] is None else MediaRef._make(row[11:16])
    return ExecutionItem._make((row[1], execution_id, *row[2:11], media, *row[16:22], row[22] != 0))


def stored_item(execution_id: str, row: Row) -> StoredItem:
    """Read a row of `SELECT_ITEM`."""
    return StoredItem(item_of(execution_id, row), row[0])


def sealed_item(execution_id: str, row: Row) -> SealedItem:
    """Read a row of `SELECT_ITEM` with its seal."""
    return SealedItem(row[0], row[23], item_of(execution_id, row))


def read_execution(row: Row) -> Execution:
    """Read a row of `EXECUTION_LIST`; its claims and numbers are elsewhere."""
    return Execution(**dict(zip(EXECUTION_COLUMNS, row, strict=True)))


def summary_of(execution: Execution, missing: tuple[int, ...]) -> ExecutionSummary:
    """Return what readers see of `execution`."""
    return ExecutionSummary(
        execution_id=execution.execution_id,
        config_name=execution.config_name,
        safety_level=execution.safety_level,
        user_id=execution.user_id,
        session_id=execution.session_id,
        group_id=execution.group_id,
        parent_execution_id=execution.parent_execution_id,
        start_time_us=execution.start_time_us,
        end_time_us=execution.end_time_us,
        state=ExecutionState(execution.state),
        epoch=execution.epoch,
        last_sequence_number=execution.highest_number,
        item_count=execution.item_count,
        complete=bool(execution.complete),
        missing=missing,
        error=execution.error,
        user_input=execution.user_input,
        plan_digest=execution.plan_digest,
        policy_version=execution.policy_version,
        software_version=execution.software_version,
        taxonomy_version=execution.taxonomy_version,
        outputs_generated=execution.outputs_generated,
        erased=execution.erased_time_us is not None,
    )

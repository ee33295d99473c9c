"""SQL of the stores, and the mapping between their rows and the domain.

Plain SQL, prepared once, because the write path must keep tens of thousands of items per second;
the migrations own the schema.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from tracker_service.chain import SealedItem
from tracker_service.items import ExecutionItem, MediaRef, StoredItem
from tracker_service.lifecycle import Execution
from tracker_service.records import ExecutionState, ExecutionSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracker_service.recording import NewItem

    Row = Sequence[Any]

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
SAVE_EXECUTION: Final = (
    f"INSERT INTO executions ({EXECUTION_LIST}) VALUES ({', '.join('?' * len(EXECUTION_COLUMNS))}) "
    f"{ON_KNOWN_EXECUTION}"
)

ITEM_COLUMNS: Final = (
    "item_id, epoch, sequence_number, occur_time_us, stage, stage_iteration, loop_iteration, "
    "media_type, item_type, content, media_uri, media_sha256, media_size_bytes, media_mime_type, "
    "media_filename, config_used, model_used, backend_used, backend_job_id, run_duration_us, "
    "metadata, late, seal"
)
_ITEM_ROW: Final = f"(?, ?, {', '.join('?' * len(ITEM_COLUMNS.split(', ')))})"
ITEM_PARAMETERS: Final = _ITEM_ROW.count("?")
INSERT_CHUNKS: Final = (64, 16, 4, 1)
"""Rows per statement: few statements, since each one hands the interpreter lock back and forth."""
INSERT_ITEMS: Final = {
    count: f"INSERT INTO items (execution_key, position, {ITEM_COLUMNS}) VALUES "
    + ", ".join([_ITEM_ROW] * count)
    for count in INSERT_CHUNKS
}
SELECT_ITEM: Final = f"SELECT position, {ITEM_COLUMNS} FROM items WHERE execution_key = ?"

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
    """Return the parameters of one row of `INSERT_ITEMS`."""
    item = new.item
    media = item.media
    return (
        new.execution.key,
        new.position,
        item.item_id,
        item.epoch,
        item.sequence_number,
        item.occur_time_us,
        item.stage,
        item.stage_iteration,
        item.loop_iteration,
        item.media_type,
        item.item_type,
        item.content,
        *(
            (media.uri, media.sha256, media.size_bytes, media.mime_type, media.filename)
            if media is not None
            else (None, None, None, None, None)
        ),
        item.config_used,
        item.model_used,
        item.backend_used,
        item.backend_job_id,
        item.run_duration_us,
        item.metadata_json,
        int(item.late),
        new.seal,
    )


def stored_item(execution_id: str, row: Row) -> StoredItem:
    """Read a row of `SELECT_ITEM`."""
    media = MediaRef(*row[11:16]) if row[11] is not None else None
    values: tuple[Any, ...] = (
        *(row[1], execution_id),
        *row[2:11],
        media,
        *row[16:22],
        bool(row[22]),
    )
    return StoredItem(ExecutionItem(*values), row[0])


def sealed_item(execution_id: str, row: Row) -> SealedItem:
    """Read a row of `SELECT_ITEM` with its seal."""
    stored = stored_item(execution_id, row)
    return SealedItem(stored.position, row[23], stored.item)


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

"""Removing workflows: after their time, or with the data of a person.

Everything of a workflow goes; what stays is a line per deliverable in the audit, which names the
file by its hash and nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracker_service.export_workflow.insights import tallies_of
from tracker_service.export_workflow.model import FinalDeliverable
from tracker_service.export_workflow.storage import rows
from tracker_service.export_workflow.storage.tallies import add_tallies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker_service.export_workflow.model import Deliverable, Workflow
    from tracker_service.store.sql import SqlConnection

AT_ONCE: Final = 10
"""Workflows that are removed in one transaction, which keeps others from writing."""


def add_audit(
    connection: SqlConnection, workflow: Workflow, deliverable: Deliverable, event: str, now_us: int
) -> None:
    """Note for good what became of a deliverable."""
    connection.execute(
        "INSERT INTO export_audit (time_us, event, export_workflow_id, content_hash, file_format, "
        "file_size_bytes) VALUES (?, ?, ?, ?, ?, ?)",
        (
            now_us,
            event,
            workflow.export_workflow_id,
            deliverable.content_hash,
            deliverable.file_format,
            deliverable.file_size_bytes,
        ),
    )


def remove_due(connection: SqlConnection, before_us: int, now_us: int) -> int:
    """Remove some workflows whose last record is older than a time; return how many."""
    return _remove(connection, "update_time_us < ?", (before_us,), "expired", now_us)


def remove_of_person(connection: SqlConnection, user_id: str, now_us: int) -> int:
    """Remove some workflows of a person; return how many."""
    return _remove(connection, "owner = ?", (user_id,), "erased", now_us)


def remove_of_execution(connection: SqlConnection, execution_id: str, now_us: int) -> None:
    """Remove all workflows that hold data of an execution."""
    condition = (
        "key IN (SELECT workflow_key FROM export_sources WHERE export_sources.execution_id = ?)"
    )
    while _remove(connection, condition, (execution_id,), "erased", now_us):
        pass


def _remove(
    connection: SqlConnection, condition: str, values: Sequence[Any], event: str, now_us: int
) -> int:
    found = connection.execute(
        f"SELECT {rows.WORKFLOW_LIST} FROM export_workflows WHERE {condition} "
        f"ORDER BY key LIMIT {AT_ONCE}",
        values,
    ).fetchall()
    removed = 0
    for row in found:
        workflow = rows.read_workflow(row)
        gone = connection.execute(
            "DELETE FROM export_workflows WHERE key = ? RETURNING key", (workflow.key,)
        ).fetchall()
        if gone:  # another replica may have been faster
            _remove_parts(connection, workflow, event, now_us)
        removed += 1
    return removed


def _remove_parts(connection: SqlConnection, workflow: Workflow, event: str, now_us: int) -> None:
    reviewed = workflow.modification_version > 0
    for record in rows.all_records(connection, workflow.key):
        add_tallies(connection, workflow, tallies_of(record, reviewed=reviewed), sign=-1)
        if isinstance(record.content, FinalDeliverable):
            add_audit(connection, workflow, record.content.deliverable, event, now_us)
    for table in ("export_stages", "export_pieces", "export_sources"):
        connection.execute(f"DELETE FROM {table} WHERE workflow_key = ?", (workflow.key,))

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
from tracker_service.export_workflow.store import Removal

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


def remove_due(connection: SqlConnection, before_us: int, now_us: int) -> Removal:
    """Remove some workflows whose last record is older than a time."""
    return _remove(connection, "update_time_us < ?", (before_us,), "expired", now_us)


def remove_of_person(connection: SqlConnection, user_id: str, now_us: int) -> int:
    """Remove some workflows of a person; return how many."""
    return _remove(connection, "owner = ?", (user_id,), "erased", now_us).workflow_count


def remove_of_execution(connection: SqlConnection, execution_id: str, now_us: int) -> None:
    """Remove all workflows that hold data of an execution."""
    condition = (
        "key IN (SELECT workflow_key FROM export_sources WHERE export_sources.execution_id = ?)"
    )
    while _remove(connection, condition, (execution_id,), "erased", now_us).workflow_count:
        pass


def _remove(
    connection: SqlConnection, condition: str, values: Sequence[Any], event: str, now_us: int
) -> Removal:
    found = connection.execute(
        f"SELECT {rows.WORKFLOW_LIST} FROM export_workflows WHERE {condition} "
        f"ORDER BY key LIMIT {AT_ONCE}",
        values,
    ).fetchall()
    hashes: list[str] = []
    for row in found:
        workflow = rows.read_workflow(row)
        gone = connection.execute(
            "DELETE FROM export_workflows WHERE key = ? RETURNING key", (workflow.key,)
        ).fetchall()
        if gone:  # another replica may have been faster
            for deliverable in _remove_parts(connection, workflow):
                add_audit(connection, workflow, deliverable, event, now_us)
                hashes.append(deliverable.content_hash)
    return Removal(len(found), tuple(hashes))


def _remove_parts(connection: SqlConnection, workflow: Workflow) -> list[Deliverable]:
    """Remove what belongs to a workflow whose row is gone; return its deliverables."""
    reviewed = workflow.modification_version > 0
    records = list(rows.all_records(connection, workflow.key))
    for record in records:
        add_tallies(connection, workflow, tallies_of(record, reviewed=reviewed), sign=-1)
    for table in ("export_stages", "export_pieces", "export_sources"):
        connection.execute(f"DELETE FROM {table} WHERE workflow_key = ?", (workflow.key,))
    return [
        record.content.deliverable
        for record in records
        if isinstance(record.content, FinalDeliverable)
    ]

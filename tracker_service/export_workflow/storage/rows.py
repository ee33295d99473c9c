"""The mapping between rows and workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracker_service.export_workflow.model import Status, Workflow
from tracker_service.export_workflow.storage.forms import (
    content_texts,
    deliverable_text,
    read_deliverable,
    read_record,
)
from tracker_service.export_workflow.summary.model import Language

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracker_service.export_workflow.model import StageRecord
    from tracker_service.store.sql import SqlConnection

_COLUMNS: Final = (
    "export_workflow_id",
    "document_id",
    "owner",
    "status",
    "create_time_us",
    "update_time_us",
    "document_type",
    "language",
    "is_foreign",
    "modification_version",
    "deliverable_count",
    "document_template",
    "file_format",
    "deliverable",
    "ai_processing_accuracy",
)
WORKFLOW_LIST: Final = ", ".join(("key", *_COLUMNS))
_RECORD_LIST: Final = "record_id, version, create_time_us, digest, stage, content"
INSERT_WORKFLOW: Final = (
    f"INSERT INTO export_workflows ({', '.join(_COLUMNS)}) "
    f"VALUES ({', '.join('?' * len(_COLUMNS))}) RETURNING key"
)
UPDATE_WORKFLOW: Final = (
    f"UPDATE export_workflows SET {', '.join(f'{name} = ?' for name in _COLUMNS)} WHERE key = ?"
)


def workflow_values(workflow: Workflow) -> tuple[Any, ...]:
    """Return the values of a workflow's row, without its key."""
    deliverable = workflow.deliverable
    return (
        workflow.export_workflow_id,
        workflow.document_id,
        workflow.owner,
        workflow.status.value,
        workflow.create_time_us,
        workflow.update_time_us,
        workflow.document_type,
        workflow.language.value,
        int(workflow.foreign),
        workflow.modification_version,
        workflow.deliverable_count,
        workflow.document_template,
        deliverable.file_format if deliverable else "",
        deliverable_text(deliverable),
        workflow.ai_processing_accuracy,
    )


def read_workflow(row: Sequence[Any]) -> Workflow:
    """Read a workflow from the columns of `WORKFLOW_LIST`."""
    return Workflow(
        key=row[0],
        export_workflow_id=row[1],
        document_id=row[2],
        owner=row[3],
        status=Status(row[4]),
        create_time_us=row[5],
        update_time_us=row[6],
        document_type=row[7],
        language=Language(row[8]),
        foreign=bool(row[9]),
        modification_version=row[10],
        deliverable_count=row[11],
        document_template=row[12],
        deliverable=read_deliverable(row[14]),
        ai_processing_accuracy=row[15],
    )


def find_record(
    connection: SqlConnection, workflow_key: int, condition: str, *values: Any
) -> StageRecord | None:
    """Return the record of a workflow that fits a condition; None: there is none."""
    row = connection.execute(
        f"SELECT {_RECORD_LIST}, data FROM export_stages WHERE workflow_key = ? AND {condition}",
        (workflow_key, *values),
    ).fetchone()
    return None if row is None else read_record(*row)


def all_records(connection: SqlConnection, workflow_key: int) -> Iterator[StageRecord]:
    """Go through the records of a workflow, without their data."""
    found = connection.execute(
        f"SELECT {_RECORD_LIST} FROM export_stages WHERE workflow_key = ?", (workflow_key,)
    ).fetchall()
    return (_without_data(row) for row in found)


def insert_record(connection: SqlConnection, workflow_key: int, record: StageRecord) -> None:
    """Store a record."""
    connection.execute(
        f"INSERT INTO export_stages (workflow_key, {_RECORD_LIST}, data) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            workflow_key,
            record.record_id,
            record.version,
            record.create_time_us,
            record.digest,
            int(record.stage),
            *content_texts(record.content),
        ),
    )


def _without_data(row: Sequence[Any]) -> StageRecord:
    record_id, version, create_time_us, digest, stage, content = row
    return read_record(record_id, version, create_time_us, digest, stage, content, None)

"""Workflows in a SQL database; see `store.WorkflowStore`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from servicekit.errors import FailedPreconditionError, NotFoundError
from tracker_service.export_workflow.insights import tallies_of
from tracker_service.export_workflow.model import FinalDeliverable, Stage
from tracker_service.export_workflow.storage import removal, rows
from tracker_service.export_workflow.storage.forms import content_texts
from tracker_service.export_workflow.storage.tallies import add_tallies, find_insights
from tracker_service.export_workflow.store import PIECE_BYTES, AuditEntry, WorkflowPage
from tracker_service.store.interface import PageKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracker_service.export_workflow.insights import ExportInsights
    from tracker_service.export_workflow.model import Quality, StageRecord, Workflow
    from tracker_service.export_workflow.store import AuditFilter, Removal, Scope, WorkflowFilter
    from tracker_service.store.sql import SqlConnection, TransactionalBook
    from tracker_service.store.sql_erasures import Read, Write


class SqlWorkflows:
    """See `store.WorkflowStore`."""

    def __init__(self, write: Write, read: Read, clock: Callable[[], int]) -> None:
        """Keep workflows in a database.

        Args:
            write: How to write to it.
            read: How to read it.
            clock: The time, microseconds since 1970 UTC.
        """
        self._write = write
        self._read = read
        self._clock = clock

    async def create(
        self, workflow: Workflow, record: StageRecord, execution_ids: Sequence[str]
    ) -> Workflow:
        """See `WorkflowStore.create`."""

        def create(book: TransactionalBook) -> Workflow:
            there = _find(book.connection, workflow.export_workflow_id)
            if there is not None:
                return there
            _check_sources(book, workflow, execution_ids)
            (key,) = book.connection.execute(
                rows.INSERT_WORKFLOW, rows.workflow_values(workflow)
            ).fetchone()
            book.connection.executemany(
                "INSERT INTO export_sources (execution_id, workflow_key) VALUES (?, ?)",
                [(name, key) for name in dict.fromkeys(execution_ids)],
            )
            stored = replace(workflow, key=key)
            _add_record(book.connection, stored, record, stored.update_time_us)
            return stored

        return await self._write(create)

    async def append(
        self, before: Workflow, after: Workflow, record: StageRecord, file: bytes = b""
    ) -> Workflow:
        """See `WorkflowStore.append`."""

        def append(book: TransactionalBook) -> Workflow:
            now = _locked(book.connection, before)
            if replace(now, update_time_us=before.update_time_us) != before:
                raise FailedPreconditionError(
                    "WORKFLOW_CHANGED",
                    "Something else was recorded of this workflow meanwhile; read it again.",
                )
            book.connection.execute(
                rows.UPDATE_WORKFLOW, (*rows.workflow_values(after), before.key)
            )
            _add_record(book.connection, after, record, after.update_time_us)
            _add_file(book.connection, after, record.version, file)
            return after

        return await self._write(append)

    async def workflow(self, export_workflow_id: str, scope: Scope) -> Workflow:
        """See `WorkflowStore.workflow`."""
        found = await self._read(lambda connection: _find(connection, export_workflow_id))
        if found is None or scope.owner not in (None, found.owner):
            raise _not_found()
        return found

    async def record(self, workflow: Workflow, stage: Stage, version: int) -> StageRecord | None:
        """See `WorkflowStore.record`."""
        return await self._read(
            lambda connection: rows.find_record(
                connection, workflow.key, "stage = ? AND version = ?", int(stage), version
            )
        )

    async def record_named(self, workflow: Workflow, record_id: str) -> StageRecord | None:
        """See `WorkflowStore.record_named`."""
        return await self._read(
            lambda connection: rows.find_record(
                connection, workflow.key, "record_id = ?", record_id
            )
        )

    async def piece(self, workflow: Workflow, version: int, number: int) -> bytes | None:
        """See `WorkflowStore.piece`."""
        row = await self._read(
            lambda connection: connection.execute(
                "SELECT data FROM export_pieces "
                "WHERE workflow_key = ? AND version = ? AND number = ?",
                (workflow.key, version, number),
            ).fetchone()
        )
        return None if row is None else bytes(row[0])

    async def page(
        self, wanted: WorkflowFilter, scope: Scope, size: int, after: PageKey | None
    ) -> WorkflowPage:
        """See `WorkflowStore.page`."""
        condition, values = _condition(wanted, scope)
        if after is not None:
            condition += " AND (create_time_us, key) < (?, ?)"
            values += [after.start_time_us, after.key]
        found = await self._read(
            lambda connection: connection.execute(
                f"SELECT {rows.WORKFLOW_LIST} FROM export_workflows WHERE {condition} "
                "ORDER BY create_time_us DESC, key DESC LIMIT ?",
                (*values, size + 1),
            ).fetchall()
        )
        workflows = tuple(rows.read_workflow(row) for row in found[:size])
        more = len(found) > size
        last = workflows[-1] if more else None
        return WorkflowPage(workflows, PageKey(last.create_time_us, last.key) if last else None)

    async def insights(
        self, wanted: WorkflowFilter, scope: Scope, field_limit: int
    ) -> ExportInsights:
        """See `WorkflowStore.insights`."""
        return await self._read(
            lambda connection: find_insights(connection, wanted, scope, field_limit)
        )

    async def rate(self, workflow: Workflow, version: int, quality: Quality) -> StageRecord:
        """See `WorkflowStore.rate`."""

        def rate(book: TransactionalBook) -> StageRecord:
            return _rate(book.connection, workflow, version, quality)

        return await self._write(rate)

    async def due_count(self, before_us: int) -> int:
        """See `WorkflowStore.due_count`."""
        row = await self._read(
            lambda connection: connection.execute(
                "SELECT COUNT(*) FROM export_workflows WHERE update_time_us < ?", (before_us,)
            ).fetchone()
        )
        return int(row[0])

    async def remove_due(self, before_us: int) -> Removal:
        """See `WorkflowStore.remove_due`."""
        now_us = self._clock()
        return await self._write(
            lambda book: removal.remove_due(book.connection, before_us, now_us)
        )

    async def audit(self, wanted: AuditFilter, size: int, before_key: int) -> list[AuditEntry]:
        """See `WorkflowStore.audit`."""
        parts, values = ["key < ?"], [before_key]
        told = {
            "export_workflow_id": wanted.export_workflow_id,
            "content_hash": wanted.content_hash,
        }
        parts += [f"{name} = ?" for name, value in told.items() if value]
        found = await self._read(
            lambda connection: connection.execute(
                "SELECT key, time_us, event, export_workflow_id, content_hash, file_format, "
                f"file_size_bytes FROM export_audit WHERE {' AND '.join(parts)} "
                "ORDER BY key DESC LIMIT ?",
                (*values, *(value for value in told.values() if value), size),
            ).fetchall()
        )
        return [AuditEntry(*row) for row in found]


def _find(connection: SqlConnection, export_workflow_id: str) -> Workflow | None:
    row = connection.execute(
        f"SELECT {rows.WORKFLOW_LIST} FROM export_workflows WHERE export_workflow_id = ?",
        (export_workflow_id,),
    ).fetchone()
    return None if row is None else rows.read_workflow(row)


def _locked(connection: SqlConnection, workflow: Workflow) -> Workflow:
    """Return the workflow as it is stored; no other replica can change it until the commit."""
    row = connection.execute(
        "UPDATE export_workflows SET update_time_us = update_time_us WHERE key = ? "
        f"RETURNING {rows.WORKFLOW_LIST}",
        (workflow.key,),
    ).fetchall()
    if not row:
        raise _not_found()
    return rows.read_workflow(row[0])


def _check_sources(
    book: TransactionalBook, workflow: Workflow, execution_ids: Sequence[str]
) -> None:
    """Refuse what was erased while the data were being read and summarised."""
    for name in sorted(execution_ids):
        execution = book.find(name)
        if execution is None or execution.erased_time_us is not None:
            raise NotFoundError("EXECUTION_NOT_FOUND", "One of the executions is gone.")
    if book.was_erased(workflow.owner, workflow.create_time_us):
        raise NotFoundError("OWNER_ERASED", "The data of this workflow's owner were erased.")


def _add_record(
    connection: SqlConnection, workflow: Workflow, record: StageRecord, now_us: int
) -> None:
    rows.insert_record(connection, workflow.key, record)
    reviewed = workflow.modification_version > 0
    add_tallies(connection, workflow, tallies_of(record, reviewed=reviewed))
    if isinstance(record.content, FinalDeliverable):
        removal.add_audit(connection, workflow, record.content.deliverable, "delivered", now_us)


def _add_file(connection: SqlConnection, workflow: Workflow, version: int, file: bytes) -> None:
    for number, start in enumerate(range(0, len(file), PIECE_BYTES)):
        connection.execute(
            "INSERT INTO export_pieces (workflow_key, version, number, data) VALUES (?, ?, ?, ?)",
            (workflow.key, version, number, file[start : start + PIECE_BYTES]),
        )


def _rate(
    connection: SqlConnection, workflow: Workflow, version: int, quality: Quality
) -> StageRecord:
    _locked(connection, workflow)
    stage = int(Stage.FINAL_SUMMARY_AND_DELIVERABLE)
    record = rows.find_record(connection, workflow.key, "stage = ? AND version = ?", stage, version)
    if record is None or not isinstance(record.content, FinalDeliverable):
        raise NotFoundError("DELIVERABLE_NOT_FOUND", "There is no deliverable of this number.")
    whole = replace(record.content.whole, final_output_quality=quality)
    record = replace(record, content=replace(record.content, whole=whole))
    text, _ = content_texts(record.content)
    connection.execute(
        "UPDATE export_stages SET content = ? WHERE workflow_key = ? AND stage = ? AND version = ?",
        (text, workflow.key, stage, version),
    )
    return record


def _condition(wanted: WorkflowFilter, scope: Scope) -> tuple[str, list[Any]]:
    told = {
        "owner = ?": scope.owner,
        "status = ?": wanted.status.value if wanted.status else None,
        "document_type = ?": wanted.document_type or None,
        "file_format = ?": wanted.file_format or None,
        "document_template = ?": wanted.document_template or None,
        "document_id = ?": wanted.document_id or None,
        "create_time_us >= ?": wanted.create_from_us,
        "create_time_us < ?": wanted.create_before_us,
    }
    known = {part: value for part, value in told.items() if value is not None}
    return " AND ".join(known) or "1 = 1", list(known.values())


def _not_found() -> NotFoundError:
    return NotFoundError(
        "EXPORT_WORKFLOW_NOT_FOUND",
        "There is no such export workflow, it is not yours, or its time is over.",
    )

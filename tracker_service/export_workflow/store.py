"""What workflows ask of their store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker_service.export_workflow.insights import ExportInsights
    from tracker_service.export_workflow.model import (
        Quality,
        Stage,
        StageRecord,
        Status,
        Workflow,
    )
    from tracker_service.store.interface import PageKey

PIECE_BYTES: Final = 512 * 1024
"""Size of the pieces that files are stored and sent in."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose workflows somebody may see.

    Attributes:
        owner: Theirs alone; None: everybody's.
    """

    owner: str | None


EVERYBODY: Final = Scope(None)


@dataclass(frozen=True, slots=True)
class WorkflowFilter:
    """Which workflows are wanted; empty and None: any.

    Attributes:
        status: In this status.
        document_type: Of this type.
        file_format: With a latest deliverable of this format.
        document_template: With one of this template.
        document_id: Of this document.
        create_from_us: Started at or after this time, microseconds since 1970 UTC.
        create_before_us: Started before this time.
    """

    status: Status | None = None
    document_type: str = ""
    file_format: str = ""
    document_template: str = ""
    document_id: str = ""
    create_from_us: int | None = None
    create_before_us: int | None = None


@dataclass(frozen=True, slots=True)
class WorkflowPage:
    """A page of workflows, the latest first.

    Attributes:
        workflows: The workflows.
        next: Where the next page begins; None: this was the last.
    """

    workflows: tuple[Workflow, ...]
    next: PageKey | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What is known of a deliverable for good.

    Attributes:
        key: Its number, ascending.
        time_us: When, microseconds since 1970 UTC.
        event: `delivered`, `expired` or `erased`.
        export_workflow_id: The workflow.
        content_hash: Of the file.
        file_format: Of the file.
        file_size_bytes: Of the file.
    """

    key: int
    time_us: int
    event: str
    export_workflow_id: str
    content_hash: str
    file_format: str
    file_size_bytes: int


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed in one go.

    Attributes:
        workflow_count: Workflows; 0: nothing is due any more.
        content_hashes: Those of their deliverables.
    """

    workflow_count: int
    content_hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which audit entries are wanted; empty: any.

    Attributes:
        export_workflow_id: Of this workflow.
        content_hash: Of files with this hash.
    """

    export_workflow_id: str = ""
    content_hash: str = ""


class WorkflowStore(Protocol):
    """Keeps workflows; every method may raise UnavailableError, reason STORE_UNAVAILABLE."""

    async def create(
        self, workflow: Workflow, record: StageRecord, execution_ids: Sequence[str]
    ) -> Workflow:
        """Store a workflow with its first record.

        Args:
            workflow: The workflow.
            record: Of stage 1.
            execution_ids: The executions that it was made from.

        Returns:
            The workflow as it is stored; another one if its name was taken already.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND: one of the executions is gone, or its owner was
                erased meanwhile.
        """

    async def append(
        self, before: Workflow, after: Workflow, record: StageRecord, file: bytes = b""
    ) -> Workflow:
        """Store a record, and the file that it tells of.

        Args:
            before: The workflow as it was read; nobody else may have recorded anything since.
            after: As it is with the record.
            record: The record.
            file: Bytes of a deliverable.

        Returns:
            The workflow as it is stored.

        Raises:
            NotFoundError: EXPORT_WORKFLOW_NOT_FOUND.
            FailedPreconditionError: WORKFLOW_CHANGED.
        """

    async def workflow(self, export_workflow_id: str, scope: Scope) -> Workflow:
        """Return a workflow.

        Raises:
            NotFoundError: EXPORT_WORKFLOW_NOT_FOUND.
        """

    async def record(self, workflow: Workflow, stage: Stage, version: int) -> StageRecord | None:
        """Return a record; None: there is none."""

    async def record_named(self, workflow: Workflow, record_id: str) -> StageRecord | None:
        """Return a record by its name; None: the workflow has none of it."""

    async def piece(self, workflow: Workflow, version: int, number: int) -> bytes | None:
        """Return a piece of a deliverable, numbered from 0; None: it has no more."""

    async def page(
        self, wanted: WorkflowFilter, scope: Scope, size: int, after: PageKey | None
    ) -> WorkflowPage:
        """Return a page of workflows."""

    async def insights(
        self, wanted: WorkflowFilter, scope: Scope, field_limit: int
    ) -> ExportInsights:
        """Return figures of workflows by their day; only the times of the filter count."""

    async def rate(self, workflow: Workflow, version: int, quality: Quality) -> StageRecord:
        """Store a judgement of a deliverable.

        Raises:
            NotFoundError: DELIVERABLE_NOT_FOUND or EXPORT_WORKFLOW_NOT_FOUND.
        """

    async def due_count(self, before_us: int) -> int:
        """Return how many workflows had their last record before a time."""

    async def remove_due(self, before_us: int) -> Removal:
        """Remove some workflows whose last record is older than a time."""

    async def audit(self, wanted: AuditFilter, size: int, before_key: int) -> list[AuditEntry]:
        """Return the latest entries with keys below `before_key`."""

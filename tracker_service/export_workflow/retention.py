"""Removing workflows that were kept long enough.

The files of deliverables go with their workflow; their hashes stay in the audit, so that somebody
who holds a copy can still be told that it was made here, and when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from servicekit.audit import Act

if TYPE_CHECKING:
    from collections.abc import Callable

    from servicekit.audit import AuditLog
    from tracker_service.export_workflow.store import Removal, WorkflowStore

log = structlog.get_logger(__name__)

DAY_US: Final = 86_400 * 1_000_000


ACT: Final = "RemoveExportWorkflows"
HASHES_PER_LINE: Final = 100


@dataclass(frozen=True, slots=True)
class WorkflowRetention:
    """How long workflows are kept.

    Attributes:
        store: Where they are.
        audit: Is told what was removed.
        days: Days since their last record.
        dry_run: Only log how many would be removed.
        clock: The time, microseconds since 1970 UTC.
    """

    store: WorkflowStore
    audit: AuditLog
    days: int
    dry_run: bool
    clock: Callable[[], int]

    async def keep(self) -> None:
        """Remove what is due.

        Raises:
            UnavailableError: STORE_UNAVAILABLE; the next time does the rest.
        """
        before_us = self.clock() - self.days * DAY_US
        count = 0
        if self.dry_run:
            count = await self.store.due_count(before_us)
        else:
            while (removed := await self.store.remove_due(before_us)).workflow_count:
                count += removed.workflow_count
                await self._note(removed)
        log.info("export_workflows_checked", due_count=count, dry_run=self.dry_run)

    async def _note(self, removed: Removal) -> None:
        for begin in range(0, max(1, len(removed.content_hashes)), HASHES_PER_LINE):
            details = {
                "workflow_count": removed.workflow_count if begin == 0 else 0,
                "content_hashes": removed.content_hashes[begin : begin + HASHES_PER_LINE],
            }
            await self.audit.note(Act(ACT, "system", details=details))

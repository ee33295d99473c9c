"""Removing workflows that were kept long enough.

The files of deliverables go with their workflow; their hashes stay in the audit, so that somebody
who holds a copy can still be told that it was made here, and when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker_service.export_workflow.store import WorkflowStore

log = structlog.get_logger(__name__)

DAY_US: Final = 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class WorkflowRetention:
    """How long workflows are kept.

    Attributes:
        store: Where they are.
        days: Days since their last record.
        dry_run: Only log how many would be removed.
        clock: The time, microseconds since 1970 UTC.
    """

    store: WorkflowStore
    days: int
    dry_run: bool
    clock: Callable[[], int]

    async def keep(self) -> None:
        """Remove what is due.

        Raises:
            UnavailableError: STORE_UNAVAILABLE; the next time does the rest.
        """
        before_us = self.clock() - self.days * DAY_US
        if self.dry_run:
            count = await self.store.due_count(before_us)
        else:
            count = 0
            while removed := await self.store.remove_due(before_us):
                count += removed
        log.info("export_workflows_checked", due_count=count, dry_run=self.dry_run)

"""Erasing what was kept long enough, once a day.

Nothing is erased unless a rule says so. Rules are read from the top, and the first one that fits an
execution decides, so that "keep this config for ten years" can stand before "everything: 30 days".
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, NoReturn

import structlog
from pydantic import BaseModel, ConfigDict, Field

from servicekit.audit import Act
from servicekit.errors import ServiceError
from tracker_service.access import EVERYTHING
from tracker_service.erasure import Wanted
from tracker_service.records import ExecutionState
from tracker_service.store.interface import ExecutionFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from servicekit.audit import AuditLog
    from tracker_service.eraser import Eraser
    from tracker_service.export_workflow.retention import WorkflowRetention
    from tracker_service.records import ExecutionSummary
    from tracker_service.store.interface import PageKey, Store

log = structlog.get_logger(__name__)

DAY_US: Final = 86_400 * 1_000_000
PAUSE_SECONDS: Final = 86_400.0
PAGE_SIZE: Final = 500
_ENDED: Final = tuple(
    state
    for state in ExecutionState
    if state not in (ExecutionState.RUNNING, ExecutionState.AWAITING_EDIT)
)


class RetentionRule(BaseModel):
    """How long some executions are kept; what still runs is never touched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: str = Field("*", description="Name of the config; `*`: any.")
    status: Literal["*", "completed", "blocked", "failed", "cancelled", "interrupted"] = Field(
        "*", description="State of the record; `*`: any."
    )
    days: int = Field(ge=1, le=36_500, description="Days since the start.")

    def fits(self, summary: ExecutionSummary) -> bool:
        """Tell whether this rule is about an execution."""
        return self.config in ("*", summary.config_name) and self.status in ("*", summary.state)

    def filter(self, now_us: int) -> ExecutionFilter:
        """Return what this rule alone would erase."""
        return ExecutionFilter(
            config_name="" if self.config == "*" else self.config,
            states=_ENDED if self.status == "*" else (ExecutionState(self.status),),
            start_before_us=now_us - self.days * DAY_US,
            erased=False,
        )


async def due_executions(store: Store, rules: Sequence[RetentionRule], now_us: int) -> list[str]:
    """Return the executions that were kept long enough.

    Args:
        store: Where they are.
        rules: The first that fits decides.
        now_us: The time, microseconds since 1970 UTC.
    """
    names: list[str] = []
    for rule in rules:
        after: PageKey | None = None
        while True:
            page = await store.page(rule.filter(now_us), EVERYTHING, PAGE_SIZE, after)
            names += [
                one.execution_id
                for one in page.executions
                if next(first for first in rules if first.fits(one)) is rule
            ]
            after = page.next
            if after is None:
                break
    return names


async def keep_retention(
    store: Store,
    eraser: Eraser,
    rules: Sequence[RetentionRule],
    *,
    dry_run: bool,
    clock: Callable[[], int],
    audit: AuditLog,
    workflows: WorkflowRetention | None = None,
) -> NoReturn:
    """Erase what is due, now and every day.

    Args:
        store: Where executions are.
        eraser: Erases them.
        rules: The first that fits decides.
        dry_run: Only log what would be erased.
        clock: The time, microseconds since 1970 UTC.
        audit: Is told what was erased.
        workflows: How long export workflows are kept; None: for ever.
    """
    while True:
        try:
            if workflows is not None:
                await workflows.keep()
            names = await due_executions(store, rules, clock())
            if names and not dry_run:
                erasure = await eraser.erase(Wanted(execution_ids=tuple(names)))
                log.info("retention_kept", receipt_id=erasure.receipt_id, due_count=len(names))
                done = {"receipt_id": erasure.receipt_id, "execution_count": len(names)}
                await audit.note(Act("KeepRetention", "system", details=done))
            else:
                log.info("retention_checked", due_count=len(names), dry_run=dry_run)
        except ServiceError as exc:
            log.warning("retention_failed", reason=exc.reason)
        await asyncio.sleep(PAUSE_SECONDS)

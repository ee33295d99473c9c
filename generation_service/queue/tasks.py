"""Tasks that belong to a queue: kept until they end, and ended with it."""

from __future__ import annotations

import asyncio

import structlog

log = structlog.get_logger(__name__)

_FINISH_SECONDS = 5.0


async def finish(tasks: set[asyncio.Task[None]]) -> None:
    """Let tasks come to their end, then end them; neither takes long."""
    for _ in range(2):
        if tasks:
            await asyncio.wait(tasks, timeout=_FINISH_SECONDS)
        for task in list(tasks):
            task.cancel()


def let_go(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    """Forget a task that has ended; one that crashed is a bug of ours, and told."""
    tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("queue_task_crashed", exc_info=error)

"""Finds executions that nobody runs any more.

An orchestrator that dies says nothing; only its silence tells. But silence counts only while the
tracker itself was listening, so after a pause of its own it waits one full lease.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NoReturn

import structlog

from servicekit.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker_service.store.interface import Store

log = structlog.get_logger(__name__)

MAX_PAUSE_SECONDS = 5.0


async def sweep(store: Store, lease_seconds: float, on_lapse: Callable[[int], None]) -> NoReturn:
    """Turn executions without a sign of life into INTERRUPTED, for ever.

    Args:
        store: Where they are. Its leases must have been extended after it was opened.
        lease_seconds: How long a lease lasts.
        on_lapse: Told how many there were.
    """
    pause_seconds = min(MAX_PAUSE_SECONDS, lease_seconds / 4)
    listening_since = time.monotonic()
    while True:
        await asyncio.sleep(pause_seconds)
        was_away = time.monotonic() - listening_since > pause_seconds + lease_seconds / 2
        listening_since = time.monotonic()
        try:
            if was_away:
                await store.extend_leases()
                continue
            count = await store.lapse()
        except ServiceError as exc:
            log.warning("sweep_failed", reason=exc.reason)
            continue
        if count:
            on_lapse(count)
            log.info("executions_interrupted", execution_count=count)

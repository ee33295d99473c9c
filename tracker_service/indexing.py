"""Keeps what executions are found by up to date, behind the acks.

Looking things up costs as much to prepare as storing does, so it is done apart: an execution can be
found by its words, models and item types about a second after it has ended.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, NoReturn

import structlog

from servicekit.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker_service.insights import Insights

log = structlog.get_logger(__name__)

PAUSE_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 10.0
REST_FACTOR: Final = 1.0
"""Rest after work, in multiples of it, while there is more to do."""
BUSY_REST_FACTOR: Final = 9.0
"""The same while records wait to be stored: what is prepared now could as well be later."""
MAX_ENTRIES: Final = 100
"""Executions prepared in one go; more would hold up those who write."""


async def keep_index(insights: Insights, writes_waiting: Callable[[], int]) -> NoReturn:
    """Prepare what changed, for ever.

    Args:
        insights: Where to prepare it.
        writes_waiting: Tells how many changes wait for the next transaction.
    """
    while True:
        begun = time.monotonic()
        try:
            count = await insights.index_changed(MAX_ENTRIES)
        except ServiceError as exc:
            log.warning("indexing_failed", reason=exc.reason)
            await asyncio.sleep(RETRY_SECONDS)
            continue
        busy_seconds = time.monotonic() - begun
        factor = BUSY_REST_FACTOR if writes_waiting() else REST_FACTOR
        await asyncio.sleep(PAUSE_SECONDS if count < MAX_ENTRIES else factor * busy_seconds)

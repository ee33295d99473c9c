"""Waits for a store or ledger that is away for a moment, such as while it restarts.

What was made cost a GPU minutes: it is not thrown away because a database is replaced just then.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import structlog

from generation_service.media.interface import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

log = structlog.get_logger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True)
class Patience:
    """How long to try again.

    Attributes:
        seconds: After that, no further try is made; 0: there is only one.
    """

    seconds: float

    async def try_again(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something that may be done again, with doubling pauses while the store is away.

        Being cancelled ends it in a pause only: no file is left whose owner is not noted.

        Raises:
            StoreUnavailableError: It stayed away for too long.
        """
        give_up = time.monotonic() + self.seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await _whole(work())
            except StoreUnavailableError:
                if time.monotonic() + pause > give_up:
                    raise
            log.warning("media_store_away", pause_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


async def _whole(work: Awaitable[T]) -> T:
    """Await something to its end, also while being cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
    return task.result()

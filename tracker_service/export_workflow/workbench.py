"""Work that takes the processor: done in threads, a few at a time.

Comparing large data takes seconds, in which the interpreter is shared with everything else that the
tracker does. So no more than a few such works run at once, and no more than some wait for them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from servicekit.errors import ResourceExhaustedError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

AT_ONCE: Final = 2
MOST_WORKS: Final = 32
"""Works that are done or wait; data of 1 MiB each."""


class Workbench:
    """Does works."""

    def __init__(self, *, at_once: int = AT_ONCE, most: int = MOST_WORKS) -> None:
        """Do so many works at once, and let the others of so many in all wait."""
        self._places = asyncio.Semaphore(at_once)
        self._most = most
        self._count = 0

    async def do(self, work: Callable[[], T]) -> T:
        """Do a work in a thread.

        Raises:
            ResourceExhaustedError: EXPORTS_BUSY: too many wait already.
        """
        if self._count >= self._most:
            raise ResourceExhaustedError(
                "EXPORTS_BUSY", "Other workflows are being worked on; try again.", retry_seconds=5
            )
        self._count += 1
        try:
            async with self._places:
                return await asyncio.to_thread(work)
        finally:
            self._count -= 1

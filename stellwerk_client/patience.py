"""How often a broken transfer is taken up again, and waiting for one's turn."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

from servicekit.errors import Code
from stellwerk_client.errors import StellwerkError, translated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_ATTEMPTS = 5
_FIRST_DELAY_SECONDS = 0.1
_MAX_DELAY_SECONDS = 2.0
_TURNS = 100
_MAX_TURN_SECONDS = 60.0


class Patience:
    """Counts failures in a row; what arrives in between restores it."""

    def __init__(self) -> None:
        """Begin with full patience."""
        self._failures = 0

    def restore(self) -> None:
        """Something arrived."""
        self._failures = 0

    async def bear(self, error: StellwerkError) -> None:
        """Wait before the next attempt.

        Raises:
            StellwerkError: `error`: it does not go away by waiting, or has lasted too long.
        """
        self._failures += 1
        if error.code is not Code.UNAVAILABLE or self._failures >= _ATTEMPTS:
            raise error
        delay = min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2**self._failures)
        await asyncio.sleep(max(error.retry_seconds or 0.0, delay * random.uniform(0.5, 1.0)))


async def in_turn(call: Callable[[], Awaitable[T]]) -> T:
    """Await a call; if it was one too many in too short a time, wait as told and call again.

    A call that was refused for that has not begun, so any call may be repeated.

    Raises:
        StellwerkError: It failed for another reason, or a hundred turns went by.
    """
    for _ in range(_TURNS - 1):
        try:
            with translated():
                return await call()
        except StellwerkError as exc:
            if exc.reason != "RATE_LIMITED":
                raise
            await asyncio.sleep(min(_MAX_TURN_SECONDS, exc.retry_seconds or 1.0))
    with translated():
        return await call()

"""How often a broken transfer is taken up again."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from servicekit.errors import Code

if TYPE_CHECKING:
    from stellwerk_client.errors import StellwerkError

_ATTEMPTS = 5
_FIRST_DELAY_SECONDS = 0.1
_MAX_DELAY_SECONDS = 2.0


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

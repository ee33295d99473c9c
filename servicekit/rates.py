"""How often one person may call, so that nobody takes the house from the others.

A neighbour is not limited: it acts for people who were limited where they came in. The rule is the
generic cell rate algorithm, for which one number per caller is enough: the time at which all that
was taken is paid for. The known libraries keep a counter or a list per caller, grow with the number
of callers, and keep a thread to clean up after them.
"""

from __future__ import annotations

import time
import tomllib
from collections import OrderedDict
from importlib import resources
from typing import TYPE_CHECKING

from servicekit.errors import ResourceExhaustedError

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_SECONDS = 60.0
MAX_CALLERS = 10_000
"""Callers remembered at once; beyond, the one who has been quiet for longest is forgotten."""


class Rate:
    """Lets each caller take so many per minute, all at once or spread."""

    def __init__(
        self,
        per_minute: int,
        *,
        max_callers: int = MAX_CALLERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Let everybody begin with a full minute.

        Args:
            per_minute: How many one caller may take; 0: any number.
            max_callers: Callers remembered at once.
            clock: The time in seconds.
        """
        self._per_minute = per_minute
        self._max_callers = max_callers
        self._clock = clock
        self._paid_at: OrderedDict[str, float] = OrderedDict()

    def take(self, caller: str) -> None:
        """Take one.

        Raises:
            ResourceExhaustedError: RATE_LIMITED: too many in too short a time.
        """
        if self._per_minute == 0:
            return
        now = self._clock()
        price = WINDOW_SECONDS / self._per_minute
        paid_at = max(self._paid_at.get(caller, now), now) + price
        wait = paid_at - now - WINDOW_SECONDS
        if wait > 1e-6:
            raise ResourceExhaustedError(
                "RATE_LIMITED",
                f"Too many calls: at most {self._per_minute} of this kind a minute.",
                retry_seconds=wait,
            )
        self._paid_at[caller] = paid_at
        self._paid_at.move_to_end(caller)
        if len(self._paid_at) > self._max_callers:
            self._paid_at.popitem(last=False)

    def __len__(self) -> int:
        """How many callers are remembered."""
        return len(self._paid_at)


class Rates:
    """The limits of a service: one for calls that let models or disks work, one for all others."""

    def __init__(self, *, calls: Rate, works: Rate) -> None:
        """Limit by these."""
        self._calls = calls
        self._works = works

    def take(self, caller: str, *, works: bool) -> None:
        """Let a caller call once.

        Raises:
            ResourceExhaustedError: RATE_LIMITED.
        """
        (self._works if works else self._calls).take(caller)


def works() -> frozenset[str]:
    """Return the RPCs (`/package.Service/Rpc`) that let models or disks work."""
    text = resources.files(__package__).joinpath("works.toml").read_text(encoding="utf-8")
    services: dict[str, list[str]] = tomllib.loads(text)
    return frozenset(f"/{service}/{rpc}" for service, rpcs in services.items() for rpc in rpcs)

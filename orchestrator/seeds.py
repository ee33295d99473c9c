"""Which seed a run gets: so that within one sitting only the words change a picture.

An explicit seed wins. The same wish again gets a new one, since whoever asks twice wants to see
something else. A changed wish gets the sitting's last one. Nothing is shared between sittings.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

SEED_BITS = 63
"""Drawn seeds fit a signed 64-bit integer, which every backend takes."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """What a sitting ran last.

    Attributes:
        wish_sha256: Digest of what was asked for.
        seed: The seed that it had.
    """

    wish_sha256: str
    seed: int


class History(Protocol):
    """Knows what happened before this process began."""

    async def last_run(self, session_id: str) -> LastRun | None:
        """Return what a sitting ran last, as far as it can be found out now."""
        ...


class SessionSeeds:
    """Remembers the last run of the sittings that were here lately."""

    def __init__(self, history: History, max_sessions: int = 10_000) -> None:
        """Begin with nothing remembered.

        Args:
            history: Asked once about each sitting that is not remembered.
            max_sessions: So many are remembered, the latest ones.
        """
        self._history = history
        self._max_sessions = max_sessions
        self._last: OrderedDict[str, LastRun] = OrderedDict()

    async def choose(self, session_id: str, wish_sha256: str, explicit: int | None) -> int:
        """Return the seed of a run.

        Args:
            session_id: The person's sitting; empty: there is none to remember.
            wish_sha256: Digest of what is asked for, without the seed.
            explicit: The seed that the person wants; None: none in particular.
        """
        seed = explicit
        if seed is None and session_id:
            last = self._last.get(session_id) or await self._history.last_run(session_id)
            if last is not None and last.wish_sha256 != wish_sha256:
                seed = last.seed
        if seed is None:
            seed = secrets.randbits(SEED_BITS)
        if session_id:
            self._last[session_id] = LastRun(wish_sha256, seed)
            self._last.move_to_end(session_id)
            while len(self._last) > self._max_sessions:
                self._last.popitem(last=False)
        return seed

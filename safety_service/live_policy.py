"""The policy in force: taken up anew when its files change, and never given up for a faulty one.

A teacher adds a word to a list while a class works. The change must hold without a restart, and a
typo must not leave children without rules: then the last good policy stays, and health, logs and
`ListPolicies` say what is wrong.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from safety_service.policy import PolicyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from safety_service.policy import Policy

    Changed = Callable[[bool], Awaitable[None]]

log = structlog.get_logger(__name__)


class LivePolicy:
    """Holds the policy in force."""

    def __init__(self, load: Callable[[], Policy], folders: Iterable[Path] = ()) -> None:
        """Load it for the first time.

        Args:
            load: Reads and validates it.
            folders: Where its files are.

        Raises:
            PolicyError: There is no policy to begin with.
        """
        self._load = load
        self._folders = tuple(folders)
        self._seen = self._state()
        self.policy = load()
        self.faults: tuple[str, ...] = ()

    async def watch(self, every_seconds: float, changed: Changed) -> None:
        """Look for changes until cancelled.

        Args:
            every_seconds: Time between two looks.
            changed: Told whether the files are in order, whenever they have changed.
        """
        while True:
            await asyncio.sleep(every_seconds)
            state = await asyncio.to_thread(self._state)
            if state == self._seen:
                continue
            self._seen = state
            await self._take_up()
            await changed(not self.faults)

    async def _take_up(self) -> None:
        try:
            policy = await asyncio.to_thread(self._load)
        except PolicyError as exc:
            self.faults = tuple(exc.faults)
            log.error("policy_refused", faults=exc.faults[:20], in_force=self.policy.version)
            return
        self.faults = ()
        if policy.version != self.policy.version:
            log.info("policy_changed", before=self.policy.version, now=policy.version)
        self.policy = policy

    def _state(self) -> dict[Path, tuple[int, int]]:
        """What tells a changed file: when it was written, and its size."""
        found = {}
        for folder in self._folders:
            for path in sorted(folder.rglob("*")):
                try:
                    status = path.stat()
                except OSError:  # just deleted
                    continue
                found[path] = (status.st_mtime_ns, status.st_size)
        return found

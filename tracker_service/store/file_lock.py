"""Keeps a second tracker away from a database that has one.

What the writer remembers of recent executions is only true while nobody else writes.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

WAIT_SECONDS: Final = 3.0
"""A predecessor that is being stopped gets this long to finish."""


class FileLock:
    """An exclusive lock that ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock; blocks for up to `WAIT_SECONDS`.

        Args:
            path: The lock file; made if it is not there, and left there.

        Raises:
            ConfigurationError: Another process holds it.
        """
        self._handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        give_up = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up:
                    os.close(self._handle)
                    raise ConfigurationError(
                        f"Another tracker uses the data beside {path.name}. Stop it, or set "
                        "TRACKER_DATA_DIR to another folder."
                    ) from None
                time.sleep(0.05)
            else:
                return

    def release(self) -> None:
        """Let others have it."""
        os.close(self._handle)

"""Hears of the commits of other replicas.

A note only wakes those who wait, and they read the database; so a note that is lost costs a little
time, never an item.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Final

import structlog

from tracker_service.store.interface import Committed
from tracker_service.store.postgres_connection import COMMITS, is_outage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker_service.store.postgres_connection import PostgresConnection

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 2.0
CLOSE_TIMEOUT_SECONDS: Final = 10.0


class CommitListener:
    """A thread that listens on a connection of its own."""

    def __init__(
        self,
        connect: Callable[[], PostgresConnection],
        own_name: str,
        tell: Callable[[Committed], None],
    ) -> None:
        """Start to listen.

        Args:
            connect: Opens a connection.
            own_name: What this replica's own notes bear; they are passed over.
            tell: Called in the thread about each note of another replica.
        """
        self._connect = connect
        self._own_name = own_name
        self._tell = tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commit-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(CLOSE_TIMEOUT_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except Exception as exc:
                if not is_outage(exc):
                    log.exception("commit_listener_failed", error_type=type(exc).__name__)
                self._stop.wait(RETRY_SECONDS)

    def _listen(self) -> None:
        connection = self._connect()
        try:
            connection.execute(f"LISTEN {COMMITS}")
            # What was committed while nobody listened is known to nobody here.
            self._tell(Committed(unknown=True))
            while not self._stop.is_set():
                for note in connection.plain.notifies(timeout=POLL_SECONDS):
                    self._hear(note.payload)
        finally:
            connection.close()

    def _hear(self, payload: str) -> None:
        note = json.loads(payload)
        if note["from"] != self._own_name:
            self._tell(Committed(frozenset(note["executions"]), note["completed"]))

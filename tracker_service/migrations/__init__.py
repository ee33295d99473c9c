"""Schema of the tracker's database, as a row of migrations that run at start-up."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy

_FOLDER = Path(__file__).parent
_LOCK = 0x5354454C4C  # any number, the same in every replica


def migrate_sqlite(path: Path) -> None:
    """Bring a SQLite file to the present schema; made if it is not there.

    Args:
        path: The file.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: It cannot be opened, or holds something else.
        ConfigurationError: It was written by a newer version.
    """
    # Looked up by hand, since nearly every start finds nothing to do, and Alembic with SQLAlchemy
    # costs half a second and 30 MB.
    if _is_behind(_sqlite_revision(path)):
        import sqlalchemy

        _upgrade(sqlalchemy.URL.create("sqlite", database=str(path)))


def migrate_postgres(url: str) -> None:
    """Bring a PostgreSQL database to the present schema; replicas that start together take turns.

    Args:
        url: The database, `postgresql://…`.

    Raises:
        psycopg.Error: It cannot be reached.
        sqlalchemy.exc.SQLAlchemyError: It holds something else.
        ConfigurationError: It was written by a newer version.
    """
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))  # ends with the connection
        if _is_behind(_postgres_revision(connection)):
            import sqlalchemy

            _upgrade(sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"))


def latest_revision() -> str:
    """Return the present schema."""
    return max(one.name.partition("_")[0] for one in (_FOLDER / "versions").glob("[0-9]*.py"))


def revision_of_sqlite(path: Path) -> str | None:
    """Return the schema of a file without changing anything; None: it has none yet.

    Raises:
        sqlite3.Error: It cannot be read, or is no database.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        return _revision_in(connection)


def revision_of_postgres(url: str, timeout_seconds: float) -> str | None:
    """Return the schema of a database without changing anything; None: it has none yet.

    Raises:
        psycopg.Error: It cannot be reached.
    """
    import psycopg

    with psycopg.connect(url, connect_timeout=round(timeout_seconds)) as connection:
        return _postgres_revision(connection)


def _is_behind(revision: str | None) -> bool:
    """Tell whether a database needs migrations.

    Raises:
        ConfigurationError: It needs a newer version of this service instead.
    """
    latest = latest_revision()
    if revision is not None and revision > latest:
        raise ConfigurationError(
            f"The database has schema {revision}, this version knows up to {latest}. Start the "
            "version that wrote it, or restore the backup made before the upgrade "
            "(docs/operations)."
        )
    return revision != latest


def _sqlite_revision(path: Path) -> str | None:
    """Return the revision of a file; None: it has none yet."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return _revision_in(connection)


def _revision_in(connection: sqlite3.Connection) -> str | None:
    known = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
    if connection.execute(known).fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def _postgres_revision(connection: psycopg.Connection) -> str | None:
    """Return the revision of a database; None: it has none yet."""
    there = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
    if there is None or there[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def _upgrade(url: sqlalchemy.URL) -> None:
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    # Alembic tells at INFO which database it runs on, which nobody needs.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    try:
        with engine.begin() as connection:
            config = Config()
            config.set_main_option("script_location", str(_FOLDER))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()

"""Schema of the tracker's database, as a row of migrations that run at start-up."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path

_FOLDER = Path(__file__).parent


def migrate(path: Path) -> None:
    """Bring a SQLite file to the present schema; made if it is not there.

    Args:
        path: The file.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: It cannot be opened, or holds something else.
        alembic.util.CommandError: It was written by a newer version.
    """
    # Looked up by hand, since nearly every start finds nothing to do, and Alembic with SQLAlchemy
    # costs half a second and 30 MB.
    if _revision(path) != _latest_revision():
        _upgrade(path)


def _latest_revision() -> str:
    return max(one.name.partition("_")[0] for one in (_FOLDER / "versions").glob("[0-9]*.py"))


def _revision(path: Path) -> str | None:
    """Return the revision of a file; None: it has none yet."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None
    return row[0] if row else None


def _upgrade(path: Path) -> None:
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    # Alembic tells at INFO which database it runs on, which nobody needs.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    engine = sqlalchemy.create_engine(
        sqlalchemy.URL.create("sqlite", database=str(path)), poolclass=sqlalchemy.NullPool
    )
    try:
        with engine.begin() as connection:
            config = Config()
            config.set_main_option("script_location", str(_FOLDER))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()

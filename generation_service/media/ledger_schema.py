"""The tables of the media ledger, and the way from older ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_TABLES = """
CREATE TABLE IF NOT EXISTS file (
    sha256 TEXT PRIMARY KEY,
    uri TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mime_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS making (
    execution_id TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES file,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    PRIMARY KEY (execution_id, sha256)
) STRICT;
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
) STRICT;
CREATE TABLE IF NOT EXISTS upload (
    sha256 TEXT NOT NULL REFERENCES file,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    PRIMARY KEY (sha256, user_id, session_id)
) STRICT;
"""
_VERSION_2 = """
ALTER TABLE making ADD COLUMN origin TEXT NOT NULL DEFAULT '{"backend": "embedded"}';
CREATE TABLE IF NOT EXISTS erasing (
    sha256 TEXT PRIMARY KEY,
    uri TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS making_by_file ON making (sha256);
CREATE INDEX IF NOT EXISTS reference_by_file ON reference (sha256);
PRAGMA user_version = 2;
"""
"""Where a file came from. Before that there were the embedded renderers only."""


def prepare(base: sqlite3.Connection) -> None:
    """Make the tables, or bring older ones up to date; all or nothing."""
    base.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
    )
    base.execute("BEGIN IMMEDIATE")  # another process may be at it, too
    try:
        (version,) = base.execute("PRAGMA user_version").fetchone()
        if version < 2:
            for statement in f"{_TABLES} {_VERSION_2}".split(";"):
                base.execute(statement)
    except BaseException:
        base.execute("ROLLBACK")
        raise
    base.execute("COMMIT")

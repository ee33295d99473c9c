"""Whom erasures were about, so that nothing of them comes back.

A recorder may bring items hours after their person was erased, of executions that nobody had heard
of by then. So a keyed hash of each erased pseudonym stays, with the time: what began before it is
erased as well, and a person who comes back later is like anybody else. The key is a random one of
this database, which keeps hashes of two databases from being compared.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker_service.store.sql import SqlConnection


def remember_erased(connection: SqlConnection, user_id: str, now_us: int) -> None:
    """Note that a person is erased now.

    Args:
        connection: To the database, in a transaction.
        user_id: The pseudonym.
        now_us: The time, microseconds since 1970 UTC.
    """
    connection.execute(
        "INSERT INTO erased_people (name_hash, erased_time_us) VALUES (?, ?) "
        "ON CONFLICT (name_hash) DO UPDATE SET erased_time_us = excluded.erased_time_us",
        (_name_hash(connection, user_id), now_us),
    )


def newest_erasure_us(connection: SqlConnection) -> int:
    """Return when somebody was erased last, microseconds since 1970 UTC; 0: nobody ever was."""
    row = connection.execute("SELECT MAX(erased_time_us) FROM erased_people").fetchone()
    return row[0] or 0


def was_erased(connection: SqlConnection, user_id: str, time_us: int) -> bool:
    """Tell whether a person was erased at or after a time."""
    row = connection.execute(
        "SELECT 1 FROM erased_people WHERE name_hash = ? AND erased_time_us >= ?",
        (_name_hash(connection, user_id), time_us),
    ).fetchone()
    return row is not None


def _name_hash(connection: SqlConnection, user_id: str) -> str:
    (key,) = connection.execute("SELECT key FROM erased_people_key").fetchone()
    return hmac.new(bytes.fromhex(key), user_id.encode(), hashlib.sha256).hexdigest()

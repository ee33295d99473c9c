"""Fills a tracker's database with as many executions as years would bring, within minutes.

Executions that came in by the front door are copied by the database itself, with all that belongs
to them; copies have names, people, sessions and times of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND_US = 1_000_000
NEW_ID = {
    "sqlite": "substr(item_id, 1, 24) || lower(hex(randomblob(6)))",
    "postgres": "gen_random_uuid()",
}
WORDS_KEY = {"sqlite": "rowid", "postgres": "execution_key"}


class Connection(Protocol):
    """What the drivers of both databases can do."""

    def execute(self, sql: Any, /) -> Any:
        """Run a statement."""

    def commit(self) -> None:
        """Commit."""


def multiply(connection: Connection, kind: str, unit: int, count: int) -> None:
    """Copy the first executions until there are `count`.

    Args:
        connection: To a database that nobody else has open.
        kind: `sqlite` or `postgres`.
        unit: How many there are; their keys count from 1, their names from `e0`.
        count: How many there shall be, a multiple of `unit`.
    """
    for shift in range(unit, count, unit):
        number, later = f"key - 1 + {shift}", f"start_time_us + {shift * SECOND_US}"
        owner = {"execution_key": f"execution_key + {shift}"}
        executions = {
            "key": f"key + {shift}",
            "execution_id": f"'e' || CAST({number} AS TEXT)",
            "session_id": f"'s' || CAST(({number}) / 10 AS TEXT)",
            "user_id": f"'u' || CAST(({number}) / 30 AS TEXT)",
            "start_time_us": later,
        }
        words_key = WORDS_KEY[kind]
        _copy(connection, "executions", "key", unit, executions)
        _copy(connection, "items", "execution_key", unit, owner | {"item_id": NEW_ID[kind]})
        facets = owner | {"start_time_us": later}
        _copy(connection, "execution_facets", "execution_key", unit, facets)
        words = {words_key: f"{words_key} + {shift}"}
        _copy(connection, "execution_words", words_key, unit, words)
        connection.commit()
    if kind == "postgres":
        connection.execute("ANALYZE")  # as the server itself does after a while
        connection.commit()


def _copy(
    connection: Connection, table: str, key: str, unit: int, changes: Mapping[str, str]
) -> None:
    found = connection.execute(f"SELECT * FROM {table} LIMIT 0")
    names = [column[0] for column in found.description]
    if table == "items" and "key" in names:
        names.remove("key")  # the database's own number
    # The words' key in SQLite is none of the columns that are listed.
    columns = dict.fromkeys([*names, *changes])
    wanted = ", ".join(changes.get(name, name) for name in columns)
    connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) "
        f"SELECT {wanted} FROM {table} WHERE {key} <= {unit}"
    )

"""Questions about many executions, answered by aggregation in the database; see `Insights`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, TypeVar

from servicekit.errors import FailedPreconditionError
from tracker_service.insights import ConfigUsage, Dimension, Session, SessionPage, StatisticsRow
from tracker_service.records import ExecutionState
from tracker_service.search import FacetKind, SearchEntry, entry_of
from tracker_service.store import rows
from tracker_service.store.interface import PageKey
from tracker_service.store.selection import condition_of
from tracker_service.store.sql_patterns import patterns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker_service.access import Audience
    from tracker_service.insights import NameKind, Patterns
    from tracker_service.store.interface import ExecutionFilter
    from tracker_service.store.sql import SqlConnection, TransactionalBook
    from tracker_service.store.sql_erasures import Read, Write

MAX_ROWS: Final = 10_000
_DAY_US: Final = 86_400 * 1_000_000
_COLUMNS: Final = {
    Dimension.DAY: f"executions.start_time_us / {_DAY_US}",
    Dimension.CONFIG: "executions.config_name",
    Dimension.MODEL: "facets.value",
    Dimension.LEVEL: "executions.safety_level",
}
_STATES: Final = ", ".join(
    f"SUM(CASE WHEN executions.state = '{state.value}' THEN 1 ELSE 0 END)"
    for state in ExecutionState
)

T = TypeVar("T")
Key = tuple[Any, ...]


class SqlInsights:
    """See `insights.Insights`."""

    def __init__(self, write: Write, read: Read) -> None:
        """Ask a database.

        Args:
            write: How to write to it.
            read: How to read it.
        """
        self._write = write
        self._read = read

    async def index_changed(self, limit: int) -> int:
        """See `Insights.index_changed`."""
        entries = await self._read(lambda connection: _changed(connection, limit))
        if entries:
            await self._write(lambda book: _save(book, entries))
        return len(entries)

    async def statistics(
        self, wanted: ExecutionFilter, audience: Audience, dimensions: Sequence[Dimension]
    ) -> list[StatisticsRow]:
        """See `Insights.statistics`."""
        return await self._read(
            lambda connection: _Statistics(connection, wanted, audience, dimensions).rows()
        )

    async def sessions(
        self, wanted: ExecutionFilter, audience: Audience, size: int, after: PageKey | None
    ) -> SessionPage:
        """See `Insights.sessions`."""
        return await self._read(
            lambda connection: _sessions(connection, wanted, audience, size, after)
        )

    async def config_usage(self, wanted: ExecutionFilter, audience: Audience) -> list[ConfigUsage]:
        """See `Insights.config_usage`."""
        return await self._read(lambda connection: _config_usage(connection, wanted, audience))

    async def patterns(self, wanted: ExecutionFilter, audience: Audience) -> Patterns:
        """See `Insights.patterns`."""
        return await self._read(lambda connection: patterns_of(connection, wanted, audience))

    async def names(self, kind: NameKind) -> list[str]:
        """See `Insights.names`."""
        found = await self._read(
            lambda connection: connection.execute(
                f"SELECT DISTINCT {kind}_id FROM executions WHERE {kind}_id <> ''"
            ).fetchall()
        )
        return [name for (name,) in found]


# --- what executions are found by ----------------------------------------------------------------


def _changed(connection: SqlConnection, limit: int) -> list[SearchEntry]:
    """Return the entries of executions that ended or changed since theirs were made."""
    entries: list[SearchEntry] = []
    with connection.snapshot():
        found = connection.execute(
            "SELECT key, execution_id, revision, start_time_us FROM executions "
            # As literals: with parameters SQLite would not see that its partial index fits.
            "WHERE indexed_revision < revision AND state <> 'running' ORDER BY key LIMIT ?",
            (limit,),
        ).fetchall()
        for key, name, revision, start_time_us in found:
            items = connection.execute(rows.SELECT_ITEM, (key,))
            texts = (rows.stored_item(name, row).item for row in items)
            entries.append(entry_of(key, revision, start_time_us, texts))
    return entries


def _save(book: TransactionalBook, entries: Sequence[SearchEntry]) -> None:
    connection = book.connection
    book.flush()
    for entry in entries:
        # Only if nothing happened since: what was erased must not come back.
        row = connection.execute(
            "UPDATE executions SET indexed_revision = revision "
            "WHERE key = ? AND revision = ? RETURNING erased_time_us",
            (entry.key, entry.revision),
        ).fetchone()
        if row is None or row[0] is not None:
            continue
        connection.save_words(entry.key, entry.words)
        connection.execute("DELETE FROM execution_facets WHERE execution_key = ?", (entry.key,))
        connection.executemany(
            "INSERT INTO execution_facets (kind, value, start_time_us, execution_key) "
            "VALUES (?, ?, ?, ?)",
            [(*facet, entry.start_time_us, entry.key) for facet in sorted(entry.facets)],
        )


# --- statistics ----------------------------------------------------------------------------------


class _Statistics:
    """Figures of a choice of executions, split by dimensions."""

    def __init__(
        self,
        connection: SqlConnection,
        wanted: ExecutionFilter,
        audience: Audience,
        dimensions: Sequence[Dimension],
    ) -> None:
        self._connection = connection
        self._dimensions = [one for one in Dimension if one in dimensions]
        self._columns = ", ".join(_COLUMNS[one] for one in self._dimensions) or "0"
        self._condition, self._values = condition_of(connection, wanted, audience)
        self._tables = "executions"
        if Dimension.MODEL in self._dimensions:
            self._tables += (
                " JOIN execution_facets AS facets ON facets.execution_key = executions.key "
                f"AND facets.kind = '{FacetKind.MODEL}'"
            )

    def rows(self) -> list[StatisticsRow]:
        """Return them in the order of the dimensions."""
        with self._connection.snapshot():
            counts = self._ask(
                f"SELECT {self._columns}, COUNT(*), SUM(executions.outputs_generated), "
                f"SUM(executions.iteration_count), {_STATES} FROM {self._tables} "
                f"WHERE {self._condition} GROUP BY {self._grouping} "
                f"ORDER BY {self._grouping} LIMIT {MAX_ROWS + 1}"
            )
            if len(counts) > MAX_ROWS:
                raise FailedPreconditionError(
                    "TOO_MANY_ROWS", "Choose a shorter time, or fewer dimensions."
                )
            return self._rows(counts, self._durations(), self._blocks())

    @property
    def _width(self) -> int:
        return len(self._dimensions) or 1

    @property
    def _grouping(self) -> str:
        return ", ".join(str(number) for number in range(1, self._width + 1))

    def _ask(self, sql: str) -> list[Any]:
        return self._connection.execute(sql, self._values).fetchall()

    def _durations(self) -> dict[Key, tuple[int, int]]:
        """Return p50 and p95 of completed executions, by the nearest rank."""
        names = ", ".join(f"d{number}" for number in range(self._width))
        columns = (self._columns).split(", ")
        named = ", ".join(f"{column} AS d{n}" for n, column in enumerate(columns))
        found = self._ask(
            f"SELECT {names}, MIN(duration), MAX(duration) FROM ("
            f"SELECT {names}, duration, COUNT(*) OVER (PARTITION BY {names}) AS n, "
            f"ROW_NUMBER() OVER (PARTITION BY {names} ORDER BY duration) AS place FROM ("
            f"SELECT {named}, executions.end_time_us - executions.start_time_us AS duration "
            f"FROM {self._tables} WHERE {self._condition} "
            "AND executions.state = 'completed') AS chosen) AS ranked "
            f"WHERE place = (n + 1) / 2 OR place = (n * 95 + 99) / 100 GROUP BY {names}"
        )
        return {tuple(row[: self._width]): (row[-2], row[-1]) for row in found}

    def _blocks(self) -> dict[Key, dict[str, int]]:
        """Return executions by the categories that were blocked in them."""
        found = self._ask(
            f"SELECT {self._columns}, blocks.value, COUNT(*) FROM {self._tables} "
            "JOIN execution_facets AS blocks ON blocks.execution_key = executions.key "
            f"AND blocks.kind = '{FacetKind.BLOCK}' WHERE {self._condition} "
            f"GROUP BY {self._grouping}, blocks.value"
        )
        blocks: dict[Key, dict[str, int]] = defaultdict(dict)
        for row in found:
            blocks[tuple(row[: self._width])][row[-2]] = row[-1]
        return blocks

    def _rows(
        self,
        counts: Sequence[Any],
        durations: dict[Key, tuple[int, int]],
        blocks: dict[Key, dict[str, int]],
    ) -> list[StatisticsRow]:
        made = []
        for row in counts:
            key, figures = tuple(row[: self._width]), row[self._width :]
            count, output_count, iteration_count, *states = figures
            if not count:
                continue
            place = dict(zip(self._dimensions, key, strict=False))
            p50, p95 = durations.get(key, (None, None))
            made.append(
                StatisticsRow(
                    day=place.get(Dimension.DAY),
                    config_name=place.get(Dimension.CONFIG),
                    model=place.get(Dimension.MODEL),
                    level=place.get(Dimension.LEVEL),
                    execution_count=count,
                    states=_state_counts(states),
                    blocks=blocks.get(key, {}),
                    duration_p50_us=p50,
                    duration_p95_us=p95,
                    output_count=int(output_count),
                    iteration_count=int(iteration_count),
                )
            )
        return made


def _state_counts(counts: Sequence[Any]) -> dict[str, int]:
    pairs = zip(ExecutionState, counts, strict=True)
    return {state.value: int(count) for state, count in pairs if count}


# --- sessions and configs ------------------------------------------------------------------------


def _sessions(
    connection: SqlConnection,
    wanted: ExecutionFilter,
    audience: Audience,
    size: int,
    after: PageKey | None,
) -> SessionPage:
    condition, values = condition_of(connection, wanted, audience)
    if after is not None:
        condition += " AND (executions.start_time_us, executions.key) < (?, ?)"
        values += [after.start_time_us, after.key]
    # The latest execution of each session stands for it, so that a page costs what it shows.
    found = connection.execute(
        "SELECT session_id, group_id, start_time_us, key FROM executions "
        f"WHERE {condition} AND session_id <> '' AND NOT EXISTS ("
        "SELECT 1 FROM executions AS later WHERE later.session_id = executions.session_id "
        "AND (later.start_time_us, later.key) > (executions.start_time_us, executions.key)) "
        "ORDER BY start_time_us DESC, key DESC LIMIT ?",
        (*values, size + 1),
    ).fetchall()
    more = len(found) > size
    found = found[:size]
    counted = _session_counts(connection, [row[0] for row in found])
    sessions = tuple(
        Session(name, group, counted[name][0], start, *counted[name][1:])
        for name, group, start, _ in found
    )
    return SessionPage(sessions, PageKey(found[-1][2], found[-1][3]) if more else None)


def _session_counts(
    connection: SqlConnection, names: Sequence[str]
) -> dict[str, tuple[int, int, int, dict[str, int]]]:
    """Return first start, executions, persons and states by session."""
    if not names:
        return {}
    found = connection.execute(
        f"SELECT session_id, MIN(start_time_us), COUNT(*), COUNT(DISTINCT user_id), {_STATES} "
        f"FROM executions WHERE session_id IN ({', '.join('?' * len(names))}) GROUP BY session_id",
        tuple(names),
    )
    return {row[0]: (row[1], row[2], row[3], _state_counts(row[4:])) for row in found}


def _config_usage(
    connection: SqlConnection, wanted: ExecutionFilter, audience: Audience
) -> list[ConfigUsage]:
    condition, values = condition_of(connection, wanted, audience)
    found = connection.execute(
        "SELECT config_name, COUNT(*), COUNT(DISTINCT session_id), "
        "SUM(CASE WHEN state = 'completed' THEN 1 ELSE 0 END), MAX(start_time_us) "
        f"FROM executions WHERE {condition} AND config_name <> '' GROUP BY config_name "
        f"ORDER BY 2 DESC, 1 LIMIT {MAX_ROWS}",
        values,
    )
    return [ConfigUsage(row[0], row[1], row[2], int(row[3]), row[4]) for row in found]

"""The counts behind the figures, kept while records come and go.

Every count is kept twice, for its owner and for everybody, since adding up all owners would take as
long as there are owners.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export_workflow.insights import (
    DAY_US,
    DayTally,
    Kind,
    Tally,
    day_of,
    insights_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker_service.export_workflow.insights import ExportInsights
    from tracker_service.export_workflow.model import Workflow
    from tracker_service.export_workflow.store import Scope, WorkflowFilter
    from tracker_service.store.sql import SqlConnection

_ALL: Final = ""
"""The owner of everybody's counts; nobody has an empty name."""
_NAMED: Final = (Kind.FORMAT, Kind.TEMPLATE, Kind.FIELD)
_ADD: Final = (
    "INSERT INTO export_tallies (owner, day, kind, name, tally, total) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (owner, day, kind, name) DO UPDATE SET "
    "tally = export_tallies.tally + excluded.tally, "
    "total = export_tallies.total + excluded.total"
)


def add_tallies(
    connection: SqlConnection, workflow: Workflow, tallies: Iterable[Tally], sign: int = 1
) -> None:
    """Add what counts of a workflow's records, or take it away.

    Args:
        connection: To the database, in a transaction.
        workflow: The workflow.
        tallies: What counts.
        sign: 1 or -1.
    """
    summed: defaultdict[tuple[Kind, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for kind, name, count, total in tallies:
        before = summed[kind, name]
        summed[kind, name] = (before[0] + sign * count, before[1] + sign * total)
    day = day_of(workflow)
    # Everybody in the same order, so that two replicas never wait for each other.
    for owner in sorted({_ALL, workflow.owner}):
        connection.executemany(
            _ADD,
            [(owner, day, kind.value, name, *summed[kind, name]) for kind, name in sorted(summed)],
        )
        if sign < 0:
            connection.execute(
                "DELETE FROM export_tallies WHERE owner = ? AND day = ? AND tally <= 0",
                (owner, day),
            )


def find_insights(
    connection: SqlConnection, wanted: WorkflowFilter, scope: Scope, field_limit: int
) -> ExportInsights:
    """Return figures; see `WorkflowStore.insights`."""
    condition, values = _condition(wanted, scope)
    marks = ", ".join("?" * len(_NAMED))
    named = connection.execute(
        f"SELECT kind, name, SUM(tally) FROM export_tallies WHERE {condition} "
        f"AND kind IN ({marks}) GROUP BY kind, name",
        (*values, *(kind.value for kind in _NAMED)),
    )
    tallies = [DayTally(0, Tally(Kind(kind), name, int(count))) for kind, name, count in named]
    daily = connection.execute(
        f"SELECT day, kind, tally, total FROM export_tallies WHERE {condition} "
        f"AND kind NOT IN ({marks}) ORDER BY day DESC",
        (*values, *(kind.value for kind in _NAMED)),
    )
    tallies += [DayTally(day, Tally(Kind(kind), "", *rest)) for day, kind, *rest in daily]
    return insights_of(tallies, field_limit)


def _condition(wanted: WorkflowFilter, scope: Scope) -> tuple[str, list[Any]]:
    parts = ["owner = ?"]
    values: list[Any] = [_ALL if scope.owner is None else scope.owner]
    if wanted.create_from_us is not None:
        parts.append("day >= ?")
        values.append(wanted.create_from_us // DAY_US)
    if wanted.create_before_us is not None:
        parts.append("day < ?")
        values.append(-(-wanted.create_before_us // DAY_US))
    return " AND ".join(parts), values

"""The files that show many executions at a glance: one per session, and the daily figures.

They name executions, states and times, and hold no text of a person; the records beside them do.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker_service.insights import StatisticsRow
    from tracker_service.records import ExecutionSummary

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def session_form(session_id: str, executions: Iterable[ExecutionSummary]) -> dict[str, Any]:
    """Return the JSON form of a session.

    Args:
        session_id: Its name.
        executions: Its executions, oldest first.
    """
    return {
        "session_id": session_id,
        "executions": [
            {
                "execution_id": one.execution_id,
                "config_name": one.config_name or None,
                "user_id": one.user_id or None,
                "group_id": one.group_id or None,
                "parent_execution_id": one.parent_execution_id or None,
                "safety_level": one.safety_level or None,
                "status": one.state.value,
                "complete": one.complete,
                "start_time": time_text(one.start_time_us),
                "end_time": time_text(one.end_time_us),
                "item_count": one.item_count,
                "outputs_generated": one.outputs_generated,
            }
            for one in executions
        ],
    }


def daily_form(
    days: Iterable[StatisticsRow], configs: Iterable[StatisticsRow], now_us: int
) -> dict[str, Any]:
    """Return the JSON form of the daily figures.

    Args:
        days: Figures by day.
        configs: Figures by config, over all days.
        now_us: The time, microseconds since 1970 UTC.
    """
    return {
        "generated_at": time_text(now_us),
        "days": [
            {"day": (_EPOCH + timedelta(days=row.day or 0)).date().isoformat(), **_figures(row)}
            for row in days
        ],
        "configs": [{"config_name": row.config_name or None, **_figures(row)} for row in configs],
    }


def _figures(row: StatisticsRow) -> dict[str, Any]:
    return {
        "executions": row.execution_count,
        "states": dict(row.states),
        "blocks": dict(row.blocks),
        "duration_p50_seconds": _seconds(row.duration_p50_us),
        "duration_p95_seconds": _seconds(row.duration_p95_us),
        "outputs": row.output_count,
        "iterations": row.iteration_count,
    }


def _seconds(duration_us: int | None) -> float | None:
    return None if duration_us is None else duration_us / 1_000_000


def time_text(time_us: int | None) -> str | None:
    """Return a time as ISO 8601 in UTC."""
    if time_us is None:
        return None
    moment = _EPOCH + timedelta(microseconds=time_us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

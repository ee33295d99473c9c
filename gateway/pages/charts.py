"""Charts as numbers that a template draws as SVG: no script, and the table beside says the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

WIDTH = 720
HEIGHT = 200
HEAD = 20
"""Above the highest column, for its number."""
WIDEST = 48.0
MOST_ROWS = 12
DAYS_BY_DAY = 92
DAYS_BY_WEEK = 2 * 366
DAYS_BY_MONTH = 20 * 366
YEARS = 100
"""Runs before these are left out: somebody has brought in records with odd dates."""


@dataclass(frozen=True)
class Column:
    """A column of a chart over time.

    Attributes:
        label: Which day, week or month.
        value: What it stands for.
        x: Left edge.
        y: Upper edge.
        width: In units of the drawing.
        height: In units of the drawing.
    """

    label: str
    value: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Timeline:
    """Columns from the first day with runs to the last one.

    Attributes:
        unit: `day`, `week`, `month` or `year`.
        columns: None where there was no run at all.
        top: What the highest column stands for.
    """

    unit: str
    columns: tuple[Column, ...]
    top: int


@dataclass(frozen=True)
class Bar:
    """A bar, or two on one line.

    Attributes:
        label: Of what.
        values: What the bars stand for.
        widths: Their widths in percent of the longest.
    """

    label: str
    values: tuple[float, ...]
    widths: tuple[float, ...]


def timeline(counts: Mapping[str, int]) -> Timeline:
    """Draw runs over time.

    Args:
        counts: Runs by day, `YYYY-MM-DD`.
    """
    days = {date.fromisoformat(day): count for day, count in counts.items()}
    if not days:
        return Timeline("day", (), 0)
    last = max(days)
    days = {day: count for day, count in days.items() if day.year > last.year - YEARS}
    first = min(days)
    unit = _unit((last - first).days + 1)
    buckets: Counter[str] = Counter(dict.fromkeys(_labels(first, last, unit), 0))
    for day, count in days.items():
        buckets[_bucket(day, unit)] += count
    top = max(buckets.values())
    step = min(WIDEST, WIDTH / len(buckets))
    columns = tuple(
        _column(label, value, place * step, step, top)
        for place, (label, value) in enumerate(sorted(buckets.items()))
    )
    return Timeline(unit, columns, top)


def _unit(span_days: int) -> str:
    if span_days <= DAYS_BY_DAY:
        return "day"
    if span_days <= DAYS_BY_WEEK:
        return "week"
    return "month" if span_days <= DAYS_BY_MONTH else "year"


def _labels(first: date, last: date, unit: str) -> list[str]:
    """Name every bucket from the first day to the last one."""
    if unit in {"month", "year"}:
        years = range(first.year, last.year + 1)
        if unit == "year":
            return [f"{year:04}" for year in years]
        months = [f"{year:04}-{month:02}" for year in years for month in range(1, 13)]
        return [each for each in months if first.isoformat()[:7] <= each <= last.isoformat()[:7]]
    step = 7 if unit == "week" else 1
    span = (last - first).days
    names = {_bucket(first + timedelta(days=n), unit) for n in range(0, span + 1, step)}
    return sorted(names | {_bucket(last, unit)})


def _bucket(day: date, unit: str) -> str:
    if unit == "year":
        return day.isoformat()[:4]
    if unit == "month":
        return day.isoformat()[:7]
    return (day if unit == "day" else day - timedelta(days=day.weekday())).isoformat()


def _column(label: str, value: int, x: float, step: float, top: int) -> Column:
    height = round((HEIGHT - HEAD) * value / top, 2) if top else 0.0
    gap = min(2.0, step * 0.15)
    return Column(
        label, value, round(x + gap / 2, 2), round(HEIGHT - height, 2), round(step - gap, 2), height
    )


def bars(rows: Iterable[tuple[str, tuple[float, ...]]]) -> list[Bar]:
    """Draw rows of values against the greatest of all, the greatest row first, at most 12."""
    kept = sorted(rows, key=lambda row: (-max(row[1]), row[0]))[:MOST_ROWS]
    longest = max((max(values) for _, values in kept), default=0.0)
    return [
        Bar(label, values, tuple(round(100 * v / longest, 2) if longest else 0.0 for v in values))
        for label, values in kept
    ]


def blocks_of(rows: Iterable[Mapping[str, Any]]) -> list[Bar]:
    """Draw how often each category blocked something."""
    found: Counter[str] = Counter()
    for row in rows:
        found.update(row.get("blocks", {}))
    return bars((category, (float(count),)) for category, count in found.items())


def durations_of(rows: Iterable[Mapping[str, Any]]) -> list[Bar]:
    """Draw how long completed runs of each config took: half of them, and 95 % of them."""
    return bars(
        (row.get("config_name", ""), (row["duration_p50"], row.get("duration_p95", 0.0)))
        for row in rows
        if "duration_p50" in row
    )

"""Figures drawn for the page say what the numbers say."""

from __future__ import annotations

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pages.charts import HEIGHT, MOST_ROWS, WIDTH, bars, blocks_of, durations_of, timeline

DAYS = st.dates(date(1930, 1, 1), date(2029, 12, 31)).map(lambda day: day.isoformat())


def test_days_without_runs_are_gaps() -> None:
    """Between the first and the last day every day has its place."""
    drawn = timeline({"2026-03-01": 2, "2026-03-04": 4})
    assert [(each.label, each.value) for each in drawn.columns] == [
        ("2026-03-01", 2),
        ("2026-03-02", 0),
        ("2026-03-03", 0),
        ("2026-03-04", 4),
    ]
    assert (drawn.unit, drawn.top) == ("day", 4)


def test_long_spans_are_gathered() -> None:
    """A semester is shown by week, several years by month, decades by year."""
    assert timeline({"2026-01-01": 1, "2026-06-30": 1}).unit == "week"
    assert timeline({"2020-01-01": 1, "2026-06-30": 1}).unit == "month"
    assert timeline({"1950-01-01": 1, "2026-06-30": 1}).unit == "year"


def test_odd_dates_do_not_squeeze_the_others() -> None:
    """A record that claims to be from the year 1 is left out of the drawing."""
    drawn = timeline({"0001-01-01": 1, "2026-06-29": 5, "2026-06-30": 1})
    assert [each.label for each in drawn.columns] == ["2026-06-29", "2026-06-30"]


def test_nothing_is_drawn_of_nothing() -> None:
    """No run, no column, no bar."""
    assert timeline({}).columns == ()
    assert blocks_of([{}]) == []
    assert durations_of([{"config_name": "dada"}]) == []


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(DAYS, st.integers(1, 10**9), min_size=1, max_size=30))
def test_no_run_is_lost_and_no_column_leaves_the_drawing(counts: dict[str, int]) -> None:
    """However far days are apart, and however unlike their numbers."""
    drawn = timeline(counts)
    assert sum(each.value for each in drawn.columns) == sum(counts.values())
    assert len(drawn.columns) <= 250
    for column in drawn.columns:
        assert 0 <= column.x <= column.x + column.width <= WIDTH + 1
        assert 0 <= column.y <= column.y + column.height <= HEIGHT + 1


def test_bars_are_few_and_the_longest_comes_first() -> None:
    """More rows than fit are left to the tables of an export."""
    drawn = bars((f"config{number}", (float(number),)) for number in range(40))
    assert len(drawn) == MOST_ROWS
    assert (drawn[0].label, drawn[0].widths) == ("config39", (100.0,))


def test_categories_are_counted_over_all_rows() -> None:
    """Configs that block for the same reason add up."""
    [bar] = blocks_of([{"blocks": {"violence": 2}}, {"blocks": {"violence": 3}}])
    assert (bar.label, bar.values) == ("violence", (5.0,))

"""Tests for the table of figures and for the comparison of two files of them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.figures import Figure, at_least, at_most
from bench.report import ROOT, Outcome, read_json, report_of, write_json

if TYPE_CHECKING:
    from pathlib import Path

RUN = Figure("one run, p50", "ms", 9.5, 4.0, (at_most(5, "added"),))
RATE = Figure("runs", "/s", 80.0, 200.0, (at_least(0.5, "ratio"),), more_is_better=True)
PLAIN = Figure("memory", "MiB", 120.0)


def words(line: str) -> str:
    """Return a line without the spaces that make columns of it."""
    return " ".join(line.split())


def outcomes(*figures: Figure) -> dict[str, Outcome]:
    """Return what a run of two benchmarks gives, one of which failed."""
    return {"pipeline": Outcome(3.2, figures), "lists": Outcome(1.0, failed="not done after 1 s")}


def test_one_table_has_every_figure_with_its_reference_ratio_and_goal() -> None:
    """Each figure is a row; goals are reached, missed or not there."""
    _, name, run, rate, plain, failed = report_of(outcomes(RUN, RATE, PLAIN)).splitlines()

    assert name == "pipeline"
    assert words(run) == "one run, p50 9.50 ms 4.00 ms 2.38 added ≤ 5.00 NO"
    assert words(rate) == "runs 80.0 /s 200 /s 0.40 ratio ≥ 0.50 NO"
    assert words(plain) == "memory 120 MiB"
    assert words(failed) == "lists FAILED: not done after 1 s"


@pytest.mark.parametrize(("limit", "met"), [(5.5, True), (5.4, False)])
def test_a_goal_may_limit_what_is_added_to_the_reference(limit: float, met: bool) -> None:
    """A goal of what is added looks at the difference."""
    figure = Figure("run", "ms", 9.5, 4.0, (at_most(limit, "added"), at_most(10)))

    assert figure.met is met


def test_a_written_file_is_read_as_it_was_measured(tmp_path: Path) -> None:
    """Figures, goals and failures come back."""
    measured = outcomes(RUN, RATE, PLAIN)
    write_json(tmp_path / "a.json", measured, short=True)

    assert read_json(tmp_path / "a.json") == measured


def test_comparing_two_files_shows_first_what_got_slower(tmp_path: Path) -> None:
    """A figure got slower when it got worse beside its reference, not when the machine did."""
    busy = Figure("one run, p50", "ms", 19.0, 8.0, RUN.goals)
    fewer = Figure("runs", "/s", 40.0, 200.0, RATE.goals, more_is_better=True)
    files = tmp_path / "a.json", tmp_path / "b.json"
    write_json(files[0], outcomes(RUN, RATE), short=True)
    write_json(files[1], outcomes(busy, fewer), short=True)

    command = [sys.executable, "-m", "bench.compare", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    _, worst, same, failed = done.stdout.splitlines()
    assert words(worst) == "[pipeline] runs 80.0 /s 40.0 /s +100% ratio slower"
    assert words(same) == "[pipeline] one run, p50 9.50 ms 19.0 ms +0% ratio"
    assert failed == "[lists] failed: not done after 1 s"


def test_an_unknown_benchmark_is_told_with_those_that_there_are() -> None:
    """Whoever mistypes a name reads the right ones."""
    command = [sys.executable, "-m", "bench", "--only", "pipelnie"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("No benchmark pipelnie; there are record,")

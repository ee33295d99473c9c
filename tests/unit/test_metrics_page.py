"""docs/metrics.md says what the definitions say, and definitions keep to Prometheus' customs."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from servicekit.metrics import Kind, Metric

DOCS = Path(__file__).resolve().parents[2] / "docs"
MADE = runpy.run_path(str(DOCS / "metrics.py"))
DEFINED: list[Metric] = [one for metrics in MADE["SECTIONS"].values() for one in metrics]


def test_the_page_is_current() -> None:
    """`make docs` would change nothing."""
    assert (DOCS / "metrics.md").read_text(encoding="utf-8") == MADE["page"]()


def test_names_say_what_they_are() -> None:
    """Ours begin alike, counters end in `_total`, histograms in their unit; none comes twice."""
    assert len({metric.name for metric in DEFINED}) == len(DEFINED)
    for metric in DEFINED:
        assert re.fullmatch(r"stellwerk_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        assert metric.kind is not Kind.HISTOGRAM or metric.name.endswith(("_seconds", "_bytes"))
        assert metric.help.endswith("."), metric.name


def test_labels_are_words_from_small_sets() -> None:
    """No label could hold an id or a text."""
    allowed = {"rpc", "code", "what", "service", "version", "state", "stage", "phase", "outcome"}
    allowed |= {"kind", "level", "decision", "layer", "category", "check", "reason", "backend"}
    allowed |= {"role", "method", "route", "status", "format"}
    assert {label for metric in DEFINED for label in metric.labels} <= allowed

"""Alert rules and the dashboard: they fire when they should, and ask for nothing that is not."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import promql_parser
import pytest
import yaml

from generation_service.queue.jobs import JobState
from generation_service.queue.workforce import WorkerState
from orchestrator.model import ExecutionState
from safety_service.model import Decision, Outcome
from servicekit.metrics import Kind, Metric

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "components" / "monitoring"
RUNBOOKS = ROOT / "docs" / "operations" / "runbooks"
OF_PROMETHEUS = {"instance", "job", "le"}
OF_PROCESSES = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
}


def labels_by_name() -> dict[str, set[str]]:
    """Return what may be asked for, and the labels it has."""
    sections = runpy.run_path(str(ROOT / "docs" / "metrics.py"))["SECTIONS"]
    known: dict[str, set[str]] = {name: set() for name in OF_PROCESSES}
    metric: Metric
    for metrics in sections.values():
        for metric in metrics:
            parts = ("_count", "_sum", "_bucket") if metric.kind is Kind.HISTOGRAM else ("",)
            known |= {f"{metric.name}{part}": set(metric.labels) for part in parts}
    return known


def rules() -> list[dict[str, Any]]:
    """Return the alert rules."""
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> list[str]:
    """Return every query of rules and dashboard, variables filled in."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    found = asked + [rule["expr"] for rule in rules()]
    return [query.replace("$__rate_interval", "5m") for query in found]


def selectors(query: str) -> list[Any]:
    """Return the selectors of a query, which must be sound."""
    found: list[Any] = []

    def visit(expression: Any) -> bool:
        if isinstance(expression, promql_parser.VectorSelector):
            found.append(expression)
        return True

    promql_parser.walk(promql_parser.parse(query), visit)
    return found


def test_every_metric_asked_for_is_defined() -> None:
    """Dashboards and alerts name metrics, and labels of them, that some service has."""
    known = labels_by_name()
    for query in queries():
        for selector in selectors(query):
            assert selector.name in known, query
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert labels <= known[selector.name] | OF_PROMETHEUS, query


def test_label_values_asked_for_are_words_of_the_code() -> None:
    """An alert on a state that nothing has would never fire."""
    words = {one.name for one in (*ExecutionState, *JobState, *WorkerState)}
    words |= {one.value for one in (*Decision, *Outcome)} | {"waiting", "running"}
    words |= {one.name for one in grpc.StatusCode} | {"orchestrator", "generation", "tracker"}
    words |= {"safety", "gateway", "SAFETY_UNAVAILABLE", "answered", "left", "finished"}
    for query in queries():
        for selector in selectors(query):
            for matcher in selector.matchers.matchers:
                asked = {one for one in matcher.value.split("|") if one.isidentifier()}
                assert matcher.name == "rpc" or asked <= words, query


def test_every_metric_is_shown() -> None:
    """Nothing is counted that neither a panel nor an alert shows."""
    asked = {selector.name for query in queries() for selector in selectors(query)}
    unseen = [
        name
        for name in labels_by_name()
        if name not in asked and not name.endswith(("_count", "_sum", "_bucket"))
    ]
    assert unseen == []


def test_every_alert_has_a_runbook() -> None:
    """Each alert leads to a page that says what it means and what to do; none is left over."""
    names = {rule["alert"] for rule in rules()}
    assert names == {path.stem for path in RUNBOOKS.glob("Stellwerk*.md")}
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        page = ROOT / rule["annotations"]["runbook"]
        text = page.read_text(encoding="utf-8")
        assert f"# {rule['alert']}" in text
        assert "## What it means" in text
        assert "## What to do" in text
    index = (RUNBOOKS / "README.md").read_text(encoding="utf-8")
    assert [name for name in names if f"({name}.md)" not in index] == []


def test_runbooks_name_settings_that_there_are() -> None:
    """A variable that a page tells somebody to change is one that a service reads."""
    known = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    pattern = r"`((?:ORCHESTRATOR|SAFETY|GENERATION|TRACKER|GATEWAY)_[A-Z_]+)`"
    for page in sorted((ROOT / "docs" / "operations").rglob("Stellwerk*.md")):
        for name in re.findall(pattern, page.read_text(encoding="utf-8")):
            rows = (f"| `{name}` |", f"| `{name.partition('_')[2]}` |")  # of all, or of one
            is_reason = name == "SAFETY_UNAVAILABLE"
            assert is_reason or any(row in known for row in rows), f"{page.name}: {name}"


def test_alerts_fire_when_they_should() -> None:
    """`alerts.test.yaml` lets each alert fire, and shows that nothing else does."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    result = subprocess.run(
        [promtool, "test", "rules", "alerts.test.yaml"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    tried = (FOLDER / "alerts.test.yaml").read_text(encoding="utf-8")
    assert [rule["alert"] for rule in rules() if f'alertname="{rule["alert"]}"' not in tried] == []

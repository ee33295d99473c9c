"""`stellwerk safety report` and `stellwerk safety test`, offline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from stellwerk_cli.main import app

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A file with a text that is judged as labelled, and one that is not."""
    path = tmp_path / "texts.jsonl"
    rows = [
        {"text": "Ein Hakenkreuz", "lang": "de", "label": "harmful"},
        {"text": "Eine Blume auf der Wiese", "lang": "de", "label": "benign"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_report_is_one_object_a_file(texts: Path) -> None:
    """Scripts get exactly the promised fields."""
    (texts.parent / "other.jsonl").write_text('{"text": "Ein Hund"}\n')
    result = runner.invoke(app, ["safety", "report", str(texts.parent), "--level", "off", "--json"])
    assert result.exit_code == 0
    other, first = map(json.loads, result.output.splitlines())
    assert list(first) == [
        "file",
        "rows",
        "blocked_share",
        "unavailable_share",
        "interval",
        "latency_us",
    ]
    assert (first["file"], first["rows"], first["blocked_share"]) == (str(texts), 2, 0.5)
    low, high = first["interval"]
    assert 0 < low < 0.5 < high < 1
    assert set(first["latency_us"]) == {"p50", "p95"}
    assert (other["rows"], other["blocked_share"]) == (1, 0)


def test_a_faulty_line_is_left_out_and_named(texts: Path) -> None:
    """One odd line does not cost the report of thousands; scripts still get their object."""
    with texts.open("a", encoding="utf-8") as lines:
        lines.write('{"text": \n[1]\n{"text": "Ein Hund", "lang": null, "label": null}\n')
    result = runner.invoke(app, ["safety", "report", str(texts), "--level", "off", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["rows"] == 3
    assert "texts.jsonl:3: is no JSON" in result.stderr
    assert "texts.jsonl:4: the line" in result.stderr


def test_a_report_for_people_tells_labels_and_layers(texts: Path) -> None:
    """Shares come with their interval."""
    output = runner.invoke(app, ["safety", "report", str(texts), "--level", "kids"]).output
    assert "2 texts, blocked 50.0% (" in output
    assert "harmful: 1 texts, blocked 100.0%" in output
    assert "layer 2: 50.0%" in output


def test_texts_judged_against_their_label_are_faults(texts: Path) -> None:
    """Code 0 while all is as labelled, 1 with every other text named."""
    result = runner.invoke(app, ["safety", "test", str(texts), "--level", "kids"])
    assert (result.exit_code, result.output) == (0, "2 of 2 as labelled\n")
    with texts.open("a", encoding="utf-8") as lines:
        lines.write('{"text": "Ein Mord", "label": "benign"}\n')
    result = runner.invoke(app, ["safety", "test", str(texts), "--level", "kids"])
    assert result.exit_code == 1
    assert "texts.jsonl:3: block (violence " in result.output
    assert "2 of 3 as labelled" in result.output
    result = runner.invoke(app, ["safety", "test", str(texts), "--level", "kids", "--json"])
    assert json.loads(result.output)["line"] == 3


@pytest.mark.parametrize("command", ["report", "test"])
def test_wrong_files_are_a_wrong_usage(tmp_path: Path, command: str) -> None:
    """A folder without files, a missing file and a broken line are code 2."""
    empty = tmp_path / "empty"
    empty.mkdir()
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{")
    for path in (empty, tmp_path / "none.jsonl", broken):
        result = runner.invoke(app, ["safety", command, str(path)])
        assert result.exit_code == 2
        assert "fault: " in result.output


def test_a_broken_policy_is_a_fault(texts: Path) -> None:
    """Without rules there is no verdict."""
    arguments = ["safety", "report", str(texts), "--policy", str(texts.parent)]
    assert runner.invoke(app, arguments).exit_code == 1

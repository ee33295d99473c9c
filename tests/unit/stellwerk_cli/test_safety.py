"""`stellwerk safety explain`, offline."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from stellwerk_cli.main import app

runner = CliRunner()


def test_refused_text_shows_what_was_found_and_what_is_told() -> None:
    """A refusal names the found words, their category and the kind message."""
    result = runner.invoke(app, ["safety", "explain", "Ein Mord mit viel Blut", "--level", "kids"])
    assert result.exit_code == 0
    assert result.output.startswith("BLOCK")
    assert "violence" in result.output
    assert "tells" in result.output


def test_harmless_text_is_allowed_at_every_level() -> None:
    """A flower is fit for everybody."""
    for level in ("kids", "youth", "adult", "off"):
        arguments = ["safety", "explain", "Eine Blume auf der Wiese", "--level", level, "--json"]
        explanation = json.loads(runner.invoke(app, arguments).output)
        assert explanation["verdict"]["decision"] == "allow"


def test_text_can_come_from_standard_input() -> None:
    """A text that must not be in the list of processes is read from stdin."""
    result = runner.invoke(app, ["safety", "explain", "-"], input="Ein Mord\n")
    assert result.output.startswith("BLOCK")


def test_unknown_level_is_a_wrong_usage() -> None:
    """A level that does not exist is code 2."""
    assert runner.invoke(app, ["safety", "explain", "x", "--level", "toddlers"]).exit_code == 2

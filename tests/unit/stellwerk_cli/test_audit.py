"""`stellwerk audit`, and what `stellwerk keys` leaves there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from stellwerk_cli.main import app

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()


def make_and_revoke(folder: Path) -> str:
    """Make a key for Mia, revoke it, and return its id."""
    file = str(folder / "keys.json")
    runner.invoke(app, ["keys", "new", "--user", "mia", "--role", "teacher", "--file", file])
    listed = runner.invoke(app, ["keys", "list", "--file", file, "--json"])
    key_id: str = json.loads(listed.output)["id"]
    runner.invoke(app, ["keys", "revoke", key_id, "--file", file])
    return key_id


def audited(*arguments: str) -> list[dict[str, Any]]:
    """Return the acts that the command lists."""
    result = runner.invoke(app, ["audit", "--json", *arguments])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_made_and_revoked_keys_are_acts(tmp_path: Path) -> None:
    """Making and revoking a key is noted with its id, never with the key."""
    key_id = make_and_revoke(tmp_path)
    file = str(tmp_path / "audit.jsonl")
    said = [
        (line["act"], line["details"]["key"], line["outcome"]) for line in audited("--file", file)
    ]
    assert said == [("NewKey", key_id, "OK"), ("RevokeKey", key_id, "OK")]
    assert [line["act"] for line in audited("--file", file, "--act", "NewKey")] == ["NewKey"]
    assert audited("--file", file, "--by", "nobody") == []
    assert audited("--file", file, "--since", "2999-01-01") == []
    table = runner.invoke(app, ["audit", "--file", file]).output
    assert f"key={key_id}" in table
    assert "sw_" not in table + (tmp_path / "audit.jsonl").read_text()


def test_a_changed_log_is_told(tmp_path: Path) -> None:
    """The command names the line whose seal does not fit and exits with 1."""
    make_and_revoke(tmp_path)
    file = tmp_path / "audit.jsonl"
    file.write_text(file.read_text().replace('"teacher"', '"learner"'))
    result = runner.invoke(app, ["audit", "--file", str(file)])
    assert result.exit_code == 1
    assert "lines 1" in result.output


def test_a_missing_log_is_wrong_usage(tmp_path: Path) -> None:
    """Without a log the command says so in one sentence."""
    result = runner.invoke(app, ["audit", "--file", str(tmp_path / "none.jsonl")])
    assert result.exit_code == 2
    assert "No such file" in result.output

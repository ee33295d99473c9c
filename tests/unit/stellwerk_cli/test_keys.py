"""`stellwerk keys` on a key file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from servicekit.api_keys import ApiKeys
from stellwerk_cli.main import app

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()


async def test_new_key_is_shown_once_and_works(tmp_path: Path) -> None:
    """The printed key authenticates; the file and the list hold no key."""
    file = str(tmp_path / "keys.json")
    made = runner.invoke(app, ["keys", "new", "--user", "mia", "--role", "teacher", "--file", file])
    key = made.output.strip()
    principal = await ApiKeys(tmp_path / "keys.json").principal(key)
    assert principal is not None
    assert (principal.id, principal.role) == ("mia", "teacher")
    listed = runner.invoke(app, ["keys", "list", "--file", file, "--json"])
    assert json.loads(listed.output)["user"] == "mia"
    assert key not in listed.output + (tmp_path / "keys.json").read_text()


def test_revoked_key_is_gone(tmp_path: Path) -> None:
    """Revoking removes the entry; an unknown id is a wrong usage."""
    file = str(tmp_path / "keys.json")
    runner.invoke(app, ["keys", "new", "--user", "mia", "--file", file])
    listed = runner.invoke(app, ["keys", "list", "--file", file, "--json"])
    key_id = json.loads(listed.output)["id"]
    assert runner.invoke(app, ["keys", "revoke", key_id, "--file", file]).exit_code == 0
    assert runner.invoke(app, ["keys", "list", "--file", file]).output == ""
    assert runner.invoke(app, ["keys", "revoke", key_id, "--file", file]).exit_code == 2


def test_missing_key_file_is_said_in_one_sentence(tmp_path: Path) -> None:
    """A missing file is a wrong usage, without a traceback."""
    result = runner.invoke(app, ["keys", "list", "--file", str(tmp_path / "none.json")])
    assert result.exit_code == 2
    assert "No such file" in result.output

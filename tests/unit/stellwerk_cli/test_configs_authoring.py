"""`configs new`, `try`, `diff` and `import`: what authors see, without a server or a model."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from orchestrator.configs import shipped_configs_dir
from stellwerk_cli.exits import Exit
from stellwerk_cli.main import app
from tests.unit.orchestrator.predecessor.folder import write

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

IDEA = 'Ein {{CONTEXT}} und "zwei\nZeilen"'


def configs(*args: object) -> Result:
    """Run a command of `stellwerk configs`."""
    return CliRunner().invoke(app, ["configs", *map(str, args)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped configs."""
    copy = tmp_path / "configs"
    shutil.copytree(shipped_configs_dir(), copy)
    return copy


def test_try_shows_every_prompt_with_the_text_as_it_is() -> None:
    """Phase 1 holds rule and idea, and the translation works on an answer nobody has given."""
    result = configs("try", "dada", IDEA, "--lang", "de", "--json")
    assert result.exit_code == 0
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert (first["stage"], first["chunk"], first["role"]) == (2, "manipulate", "interception")
    assert first["messages"][-1]["content"].endswith(IDEA)
    assert "Dadaisten" in first["messages"][-1]["content"]
    assert first["parameters"]["temperature"] == 0.9
    assert (second["stage"], second["chunk"]) == (3, "translation")
    assert second["messages"][-1]["content"] == "‹answer of manipulate›"


def test_try_names_what_is_wrong() -> None:
    """An unknown config gets a guess."""
    result = configs("try", "dadda", "Ein Hund")
    assert result.exit_code == Exit.USAGE
    assert "Did you mean dada?" in result.stderr


def test_new_config_is_sound_and_never_overwrites(folder: Path) -> None:
    """What `new` writes passes `check`, from nothing or from another config."""
    assert configs("new", "rain", "--dir", folder).exit_code == 0
    assert configs("new", "hail", "--dir", folder, "--like", "dada").exit_code == 0
    assert configs("check", folder).exit_code == 0
    again = configs("new", "rain", "--dir", folder)
    assert again.exit_code == Exit.USAGE
    assert "there already" in again.stderr


def test_diff_shows_changes_wherever_they_are(folder: Path) -> None:
    """A changed chunk shows in every config that uses it; an unchanged config shows nothing."""
    assert configs("diff", "dada", "--dir", folder).stdout == ""
    path = folder / "chunks" / "manipulate.json"
    path.write_text(path.read_text().replace("three to six sentences", "one sentence"))
    result = configs("diff", "dada", "--dir", folder)
    assert result.exit_code == Exit.FAULTS
    added = [line for line in result.stdout.splitlines() if line.startswith("+")]
    assert any("one sentence" in line for line in added)


def test_import_reports_each_file_and_copies_unless_dry(tmp_path: Path) -> None:
    """One JSON object a file; a dry run writes nothing; a refused file makes the exit code 1."""
    source, into = write(tmp_path / "school"), tmp_path / "imported"
    dry = configs("import", source, "--dry-run", "--json", "--into", into)
    assert dry.exit_code == 0
    assert not into.exists()
    reports = [json.loads(line) for line in dry.stdout.splitlines()]
    assert set(reports[0]) == {"file", "result", "reason", "notes"}
    write(source, {"chunks/render.py": "print()"})
    result = configs("import", source, "--into", into)
    assert result.exit_code == Exit.FAULTS
    assert "1 refused" in result.stdout
    assert (into / "school" / "chunks" / "manipulate.json").is_file()

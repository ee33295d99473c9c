"""Saved outputs: safe names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stellwerk.common.v1.types_pb2 import MediaRef
from stellwerk.orchestrator.v1.event_pb2 import Output
from stellwerk_cli.outputs import output_path, safe_name

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
    output = Output(loop_iteration=2, output_config="../x", media=MediaRef(mime_type="image/png"))
    path = output_path(tmp_path, "../../root", output)
    assert path == tmp_path.resolve() / "root" / "02-x.png"

"""Children of the tracker that crash on what a person wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

WORDS = "Eine Blume namens Zarubilo"


@pytest.mark.parametrize(
    ("module", "file", "arguments"),
    [
        ("tracker_service.export.pdf_process", "export.json", ()),
        (
            "tracker_service.export_workflow.deliverables.process",
            "document.json",
            ("html",),
        ),
    ],
)
def test_a_child_that_crashes_says_where_and_repeats_nothing(
    tmp_path: Path, module: str, file: str, arguments: tuple[str, ...]
) -> None:
    """Data that are of no use leave one line with the kind of fault and its place."""
    (tmp_path / file).write_text(json.dumps([WORDS]))
    done = subprocess.run(
        [sys.executable, "-m", module, str(tmp_path), *arguments, str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    line = json.loads(done.stdout)
    assert line["error_type"]
    assert line["frames"]
    assert "Zarubilo" not in done.stdout

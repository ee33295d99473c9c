"""The committed stubs are what the compiler makes of the contract."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "protos" / "gen"


def contents(folder: Path) -> dict[str, bytes]:
    """Return every generated file below `folder` by its relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_stubs_are_current(tmp_path: Path) -> None:
    """`make protos` would change nothing, byte for byte."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [sys.executable, "protos/generate.py", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PATH": tools},
        check=True,
        timeout=100,
    )
    made, committed = contents(tmp_path), contents(GENERATED)
    assert made.keys() == committed.keys()
    assert [name for name in made if made[name] != committed[name]] == []

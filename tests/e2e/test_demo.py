"""`stellwerk demo`, as a stranger's first sight of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil


def test_demo_shows_three_runs_and_where_everything_is(tmp_path: Path) -> None:
    """The demo ends with code 0, leaves the picture and three records, and no process."""
    before = {process.pid for process in psutil.process_iter()}
    result = subprocess.run(
        [sys.executable, "-m", "stellwerk_cli", "demo"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    pictures = re.findall(r"picture +(/\S+)", result.stdout)
    assert Path(pictures[0]).is_file()
    records = [
        json.loads(Path(path).read_text()) for path in re.findall(r"record +(/\S+)", result.stdout)
    ]
    assert [record["config_name"] for record in records] == ["dada", "stillepost", "dada"]
    assert [record["status"] for record in records] == ["completed", "completed", "blocked"]
    left = [
        process
        for process in psutil.process_iter(["pid", "cmdline"])
        if process.pid not in before and str(tmp_path) in " ".join(process.info["cmdline"] or ())
    ]
    assert left == []

"""Reading the output of commands that still run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess


def read_execution_id(process: subprocess.Popen[bytes]) -> str:
    """Read the first line of a `run --json` that goes on, and return its execution."""
    assert process.stdout is not None
    return first_execution_id(process.stdout.readline())


def first_execution_id(out: bytes) -> str:
    """Return the execution that the first JSON line names."""
    execution_id: str = json.loads(out.splitlines()[0])["execution_id"]
    return execution_id

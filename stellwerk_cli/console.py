"""What the command says to people: status on stdout, faults on stderr, never a traceback.

Scripts read `up` line by line and may close the pipe at any time, so writing must neither wrap
lines nor bring the supervisor down.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer


def say(text: str = "") -> None:
    """Write a line to stdout at once; a reader who has left is no fault of ours."""
    try:
        typer.echo(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would fail once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """Write a fault to stderr."""
    typer.echo(typer.style("fault: ", fg="red", bold=True) + text, err=True)


def command_name() -> str:
    """Return how this command was called, for "try this next": it need not be on the path."""
    called = Path(sys.argv[0])
    if called.name != "stellwerk":
        return "python -m stellwerk_cli"
    inside = called.is_absolute() and called.is_relative_to(Path.cwd())
    return str(called.relative_to(Path.cwd()) if inside else called)

"""Who is told what happens in a run: a person (see `render`) or a script (`--json`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from servicekit.plain import plain_event
from stellwerk_cli.console import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stellwerk.orchestrator.v1.event_pb2 import ExecutionEvent, Output


class Printer(Protocol):
    """Shows the events of one run, in order."""

    def event(self, event: ExecutionEvent) -> None:
        """Show what happened."""

    def saved(self, execution_id: str, output: Output, path: Path) -> None:
        """Show where an output was saved."""

    def note(self, execution_id: str, text: str) -> None:
        """Show a remark of the command itself, such as a lost connection."""

    def close(self) -> None:
        """Leave the screen tidy."""


class JsonPrinter:
    """One JSON object a line, each with `execution_id` and `event`."""

    def __init__(self, write: Callable[[str], None] = say) -> None:
        """Print with `write`, which takes a line without its end."""
        self._write = write

    def event(self, event: ExecutionEvent) -> None:
        """Print the event as `plain.plain_event` has it."""
        self._print(plain_event(event))

    def saved(self, execution_id: str, output: Output, path: Path) -> None:
        """Print `output_saved` with the number and the absolute path."""
        self._print(
            {
                "execution_id": execution_id,
                "event": "output_saved",
                "loop_iteration": output.loop_iteration,
                "path": str(path),
            }
        )

    def note(self, execution_id: str, text: str) -> None:
        """Print `note` with the text."""
        self._print({"execution_id": execution_id, "event": "note", "text": text})

    def close(self) -> None:
        """Nothing is open."""

    def _print(self, line: dict[str, Any]) -> None:
        self._write(json.dumps(line, ensure_ascii=False))

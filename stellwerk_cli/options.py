"""Options that several commands share, so that they are spelled and explained once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stellwerk_cli.services import DEFAULT_BASE_PORT, HOST

DEFAULT_SERVER = f"{HOST}:{DEFAULT_BASE_PORT}"

ServerOption = Annotated[
    str,
    typer.Option(
        envvar="STELLWERK_SERVER", help="The orchestrator, `host:port`; it knows the others."
    ),
]
ApiKeyOption = Annotated[
    str,
    typer.Option(
        envvar="STELLWERK_API_KEY",
        help="API key. Better given by the variable, which other users cannot see.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
LanguageOption = Annotated[
    str, typer.Option(help="Your language for messages, such as `de`. Empty: found from the text.")
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The execution.")]
DEFAULT_OUT = Path("stellwerk-out")
OutOption = Annotated[
    Path, typer.Option(file_okay=False, help="Folder; outputs go to `OUT/<execution id>/`.")
]


class Level(StrEnum):
    """For whom results must be fit, strictest first."""

    KIDS = "kids"
    YOUTH = "youth"
    ADULT = "adult"
    OFF = "off"

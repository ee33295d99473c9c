"""The `stellwerk` command: puts the commands together, and nothing else."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from stellwerk_cli import exits
from stellwerk_cli.console import say
from stellwerk_cli.late import LateGroup
from stellwerk_cli.tls import TlsCaOption, speak_tls

if TYPE_CHECKING:
    from collections.abc import Mapping


class Commands(LateGroup):
    """All commands, in the order of `--help`."""

    places: ClassVar[Mapping[str, str]] = {
        name: f"stellwerk_cli.commands.{place}"
        for name, place in {
            "demo": "demo:demo",
            "up": "up:up",
            "run": "run:run",
            "edit": "edit:edit",
            "regenerate": "again:regenerate",
            "watch": "watch:watch",
            "cancel": "watch:cancel",
            "resume": "again:resume",
            "verify": "verify:verify",
            "audit": "audit:audit",
            "doctor": "doctor:doctor",
            "configs": "configs:app",
            "workflows": "workflows:app",
            "workers": "workers:app",
            "jobs": "jobs:app",
            "records": "records:app",
            "exports": "exports:app",
            "safety": "safety:app",
            "keys": "keys:app",
        }.items()
    }


app = typer.Typer(
    name="stellwerk",
    cls=Commands,
    epilog=exits.HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # locals may hold a learner's text
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"stellwerk {metadata.version('stellwerk')}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    tls_ca: TlsCaOption = None,
) -> None:
    """Runs creative-AI pipelines and keeps the record of every run."""
    speak_tls(tls_ca)

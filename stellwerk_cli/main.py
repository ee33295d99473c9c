"""The `stellwerk` command: puts the commands together, and nothing else."""

from __future__ import annotations

import typer

from stellwerk_cli import exits
from stellwerk_cli.commands import keys
from stellwerk_cli.commands.up import up

app = typer.Typer(
    name="stellwerk",
    help="Runs creative-AI pipelines and keeps the record of every run.",
    epilog=exits.HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # locals may hold a learner's text
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(up)
app.add_typer(keys.app, name="keys")


@app.callback()
def main() -> None:
    """Runs creative-AI pipelines and keeps the record of every run."""

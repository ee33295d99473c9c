"""The `stellwerk` command: puts the commands together, and nothing else."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from stellwerk_cli import exits
from stellwerk_cli.commands import configs, jobs, keys, records, safety, workers, workflows
from stellwerk_cli.commands.again import regenerate, resume
from stellwerk_cli.commands.audit import audit
from stellwerk_cli.commands.demo import demo
from stellwerk_cli.commands.doctor import doctor
from stellwerk_cli.commands.edit import edit
from stellwerk_cli.commands.run import run
from stellwerk_cli.commands.up import up
from stellwerk_cli.commands.verify import verify
from stellwerk_cli.commands.watch import cancel, watch
from stellwerk_cli.console import say
from stellwerk_cli.tls import TlsCaOption, speak_tls

app = typer.Typer(
    name="stellwerk",
    epilog=exits.HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # locals may hold a learner's text
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, up, run, edit, regenerate, watch, cancel, resume, verify, audit, doctor):
    app.command()(command)
app.add_typer(configs.app, name="configs")
app.add_typer(workflows.app, name="workflows")
app.add_typer(workers.app, name="workers")
app.add_typer(jobs.app, name="jobs")
app.add_typer(records.app, name="records")
app.add_typer(safety.app, name="safety")
app.add_typer(keys.app, name="keys")


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

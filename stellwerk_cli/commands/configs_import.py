"""`stellwerk configs import`: folders of the predecessor's configs, read as they are."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.configs import ConfigError, load_configs, shipped_configs_dir
from orchestrator.configs.imported import keep_copy
from orchestrator.configs.loader import load_node_classes
from orchestrator.configs.predecessor import Result, read_folder
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import JsonOption  # noqa: TC001 - typer reads the annotations

if TYPE_CHECKING:
    from orchestrator.configs.predecessor import FileReport

DEFAULT_TARGET = Path("stellwerk-data/imported-configs")


def import_(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="The folder with configs, pipelines/ and chunks/.",
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report; copy nothing.")] = False,
    into: Annotated[
        Path,
        typer.Option(
            envvar="ORCHESTRATOR_IMPORTED_CONFIGS_DIR", help="Where the orchestrator looks."
        ),
    ] = DEFAULT_TARGET,
    as_json: JsonOption = False,
) -> None:
    """Import a folder of AI4ArtsEd configs, unchanged, and report what became of each file.

    A faulty file is refused and leaves the others alone. Exit code 1 if any was refused.
    """
    own = shipped_configs_dir()
    try:
        found = read_folder(folder, load_configs(own), load_node_classes(own))
        if not dry_run:
            kept = keep_copy(folder, into)
    except ConfigError as exc:
        complain(f"The configs in {own} are faulty; `stellwerk configs check` lists the faults.")
        raise typer.Exit(Exit.FAULTS) from exc
    except OSError as exc:
        complain(f"{exc.filename or folder}: {exc.strerror or exc}")
        raise typer.Exit(Exit.USAGE) from exc
    for report in found.reports:
        say(json.dumps(asdict(report), ensure_ascii=False) if as_json else _line(report))
    counts = Counter(report.result for report in found.reports)
    if not as_json:
        say(", ".join(f"{counts[result]} {result.value}" for result in Result))
        if not dry_run:
            say(f"Copied to {kept}; the orchestrator loads it when it starts.")
    if counts[Result.REFUSED]:
        raise typer.Exit(Exit.FAULTS)


def _line(report: FileReport) -> str:
    lines = [f"{report.result.value:<17} {report.file}"]
    lines += [f"  {text}" for text in (report.reason, *report.notes) if text]
    return "\n".join(lines)

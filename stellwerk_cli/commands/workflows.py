"""`stellwerk workflows`: whether ComfyUI graphs are sound, and what a worker lacks for them."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.configs import check_folder, load_configs, shipped_configs_dir
from stellwerk_cli.commands.configs import fault_json, fault_line
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import JsonOption  # noqa: TC001 - typer reads the annotations
from stellwerk_cli.workflow_check import (
    Report,
    WorkerUnreadableError,
    check_outputs,
    read_catalogue,
)

if TYPE_CHECKING:
    from orchestrator.configs import ConfigSet

app = typer.Typer(help="Check ComfyUI workflows.", no_args_is_help=True)


@app.callback()
def workflows() -> None:
    """Check ComfyUI workflows."""


@app.command()
def check(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]…", help="Outputs or workflows to look at. None: all."),
    ] = None,
    worker: Annotated[
        str, typer.Option(help="A ComfyUI server to hold them against: `http://host:8188`.")
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option("--configs", exists=True, file_okay=False, help="None: those in use."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the graphs of a folder of configs, and with --worker what a worker lacks for them.

    Each fault names file, line, node and input. Exit code 1 if there are any, 6 if the worker does
    not answer.
    """
    folder = folder or shipped_configs_dir()
    if faults := check_folder(folder):
        for fault in faults:
            say(fault_json(folder, fault) if as_json else fault_line(folder, fault))
        raise typer.Exit(Exit.FAULTS)
    configs = load_configs(folder)
    wanted = _wanted(configs, ids or [])
    if not worker:
        if not as_json:
            say(f"{folder}: {len(configs.workflows)} workflows, no faults")
        return
    try:
        catalogue = read_catalogue(worker)
    except WorkerUnreadableError as exc:
        complain(str(exc))
        raise typer.Exit(Exit.UNREACHABLE) from exc
    reports = list(check_outputs(folder, configs, catalogue, wanted))
    for report in reports:
        _show(folder, report, as_json=as_json)
    if any(report.faults for report in reports):
        raise typer.Exit(Exit.FAULTS)


def _wanted(configs: ConfigSet, ids: list[str]) -> frozenset[str]:
    outputs = {id_ for id_, output in configs.output.items() if output.workflow}
    for id_ in ids:
        if id_ not in outputs | configs.workflows.keys():
            raise typer.BadParameter(f"there is no output with a workflow, nor workflow, {id_}")
    return frozenset(ids)


def _show(folder: Path, report: Report, *, as_json: bool) -> None:
    if as_json:
        say(json.dumps(_plain(folder, report), ensure_ascii=False))
        return
    mark = " (experimental)" if report.experimental else ""
    state = "not ready" if report.faults else "ready"
    say(f"{report.name:<24} {state}{mark}")
    for fault in report.faults:
        say(f"  {fault_line(folder, fault)}")
    for warning in report.warnings:
        say(f"  warning: {fault_line(folder, warning)}")


def _plain(folder: Path, report: Report) -> dict[str, object]:
    return {
        "output": report.output,
        "workflow": report.workflow,
        "experimental": report.experimental,
        "ready": not report.faults,
        "missing_models": report.missing_models,
        "missing_classes": report.missing_classes,
        "faults": [json.loads(fault_json(folder, fault)) for fault in report.faults],
        "warnings": [json.loads(fault_json(folder, fault)) for fault in report.warnings],
    }

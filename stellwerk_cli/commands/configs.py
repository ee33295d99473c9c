"""`stellwerk configs`: what can be chosen on a server, and what is wrong in a folder."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.configs import check_folder, shipped_configs_dir
from servicekit.errors import Code, RemoteError
from servicekit.plain import enum_word, plain_message
from stellwerk.orchestrator.v1.orchestrator_service_pb2 import (
    CONFIG_KIND_INTERCEPTION,
    CONFIG_KIND_OUTPUT,
    CONFIG_KIND_UNSPECIFIED,
    ConfigKind,
)
from stellwerk_cli.commands import configs_authoring, configs_import
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import (
    DEFAULT_SERVER,
    ApiKeyOption,
    JsonOption,
    LanguageOption,
    ServerOption,
)
from stellwerk_cli.remote import run_remote
from stellwerk_client.client import StellwerkClient

if TYPE_CHECKING:
    from orchestrator.configs import Fault
    from stellwerk.common.v1.types_pb2 import LocalizedText
    from stellwerk.orchestrator.v1.orchestrator_service_pb2 import ConfigSummary

app = typer.Typer(help="List, show, check, write, try and import configs.", no_args_is_help=True)
app.command("new")(configs_authoring.new)
app.command("try")(configs_authoring.try_)
app.command("diff")(configs_authoring.diff)
app.command("import")(configs_import.import_)

_KINDS = {"interception": CONFIG_KIND_INTERCEPTION, "output": CONFIG_KIND_OUTPUT}
KindOption = Annotated[str, typer.Option(help="`interception` or `output`. Empty: both.")]


@app.command("list")
def list_(
    kind: KindOption = "",
    lang: LanguageOption = "",
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """List the configs of the server."""
    wanted = _kind(kind) if kind else CONFIG_KIND_UNSPECIFIED

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            async for config in client.list_configs(wanted):
                if as_json:
                    say(json.dumps(plain_message(config), ensure_ascii=False))
                else:
                    say(_line(config, lang))
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


@app.command()
def show(
    config_id: Annotated[str, typer.Argument(help="Its id, as listed.")],
    kind: KindOption = "",
    rendered: Annotated[
        str, typer.Option(metavar="TEXT", help="Its prompts for this text instead, as `try`.")
    ] = "",
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Show a config with its pipeline and chunks resolved, as JSON (one line with --json)."""
    if rendered:
        configs_authoring.try_(config_id, [rendered], as_json=as_json)
        return
    kinds = [_kind(kind)] if kind else list(_KINDS.values())

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            for number, one in enumerate(kinds, start=1):
                try:
                    found = await client.get_config(config_id, one)
                except RemoteError as exc:
                    if exc.code != Code.NOT_FOUND or number == len(kinds):
                        raise
                    continue
                resolved = json.loads(found.resolved_json)
                say(json.dumps(resolved, ensure_ascii=False, indent=None if as_json else 2))
                break
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


@app.command()
def check(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", exists=True, file_okay=False, help="Unset: the configs in use."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a folder of configs without a server and print every fault.

    A fault reads `file:line: field: what is wrong (what to do)`. Exit code 1 if there are any.
    """
    folder = folder or shipped_configs_dir()
    faults = check_folder(folder)
    for fault in faults:
        say(fault_json(folder, fault) if as_json else fault_line(folder, fault))
    if faults:
        if not as_json:
            complain(f"{len(faults)} found in {folder}")
        raise typer.Exit(Exit.FAULTS)
    if not as_json:
        say(f"{folder}: no faults")


def _kind(word: str) -> ConfigKind.ValueType:
    if word not in _KINDS:
        raise typer.BadParameter(f"expected {' or '.join(_KINDS)}", param_hint="--kind")
    return _KINDS[word]


def _line(config: ConfigSummary, language: str) -> str:
    kind = enum_word(ConfigKind.DESCRIPTOR, config.kind)
    outputs = ", ".join(config.default_outputs)
    mark = "(experimental) " if "experimental" in config.tags else ""
    description = mark + _in_language(config.description, language)
    return f"{kind:<13} {config.id:<20} {outputs:<32} {description}".rstrip()


def _in_language(text: LocalizedText, language: str) -> str:
    return text.texts.get(language) or text.texts.get("en") or ""


def fault_line(folder: Path, fault: Fault) -> str:
    """Write a fault as a line that editors can jump to."""
    place = f"{folder / fault.file}:{fault.line}" if fault.line else str(folder / fault.file)
    parts = [f"{place}:", f"{fault.field}:" if fault.field else "", fault.message]
    parts.append(f"({fault.hint})" if fault.hint else "")
    return " ".join(part for part in parts if part)


def fault_json(folder: Path, fault: Fault) -> str:
    """Write a fault as one JSON object."""
    plain = {
        "file": str(folder / fault.file),
        "line": fault.line,
        "column": fault.column,
        "field": fault.field,
        "message": fault.message,
        "hint": fault.hint,
    }
    return json.dumps(plain, ensure_ascii=False)

"""`stellwerk watch` and `stellwerk cancel`: an execution that is already there."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer
from rich.console import Console

from servicekit.plain import enum_word, plain_message
from stellwerk.tracker.v1.execution_pb2 import ExecutionState
from stellwerk_cli.console import say
from stellwerk_cli.exits import Exit
from stellwerk_cli.following import Follower, Following
from stellwerk_cli.options import (
    DEFAULT_SERVER,
    ApiKeyOption,
    IdArgument,
    JsonOption,
    LanguageOption,
    ServerOption,
)
from stellwerk_cli.printers import JsonPrinter, Printer
from stellwerk_cli.remote import run_remote
from stellwerk_cli.render import ScreenPrinter
from stellwerk_client.client import StellwerkClient


def watch(
    execution_id: IdArgument,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Save outputs to `OUT/<execution id>/`. Unset: do not."),
    ] = None,
    lang: LanguageOption = "",
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Watch an execution from its beginning to its end; Ctrl-C stops watching only.

    Prints and exits as `run` does.
    """
    printer: Printer = JsonPrinter() if as_json else ScreenPrinter(Console(highlight=False), lang)

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            following = Following.of(execution_id)
            events = client.watch(execution_id)
            return (await Follower(client, printer, out).follow(following, events)).exit

    run_remote(work, server=server, as_json=as_json)


def cancel(
    execution_id: IdArgument,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Cancel an execution and everything done for it; one that has ended stays as it is."""

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            execution = await client.cancel(execution_id)
        if as_json:
            say(json.dumps(plain_message(execution), ensure_ascii=False))
        else:
            say(f"{execution_id}: {enum_word(ExecutionState.DESCRIPTOR, execution.state)}")
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)

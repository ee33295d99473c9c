"""`stellwerk resume` and `stellwerk regenerate`: executions that live once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from stellwerk_cli.following import Follower, Following
from stellwerk_cli.options import (
    DEFAULT_OUT,
    DEFAULT_SERVER,
    ApiKeyOption,
    IdArgument,
    JsonOption,
    LanguageOption,
    OutOption,
    ServerOption,
)
from stellwerk_cli.printers import JsonPrinter, Printer
from stellwerk_cli.remote import run_remote
from stellwerk_cli.render import ScreenPrinter
from stellwerk_client.client import StellwerkClient

if TYPE_CHECKING:
    from stellwerk_cli.exits import Exit


def resume(
    execution_id: IdArgument,
    out: OutOption = DEFAULT_OUT,
    lang: LanguageOption = "",
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Go on with an INTERRUPTED execution after what is recorded of it.

    What was finished is not done again. Prints and exits as `run` does. One that waits for a
    person goes on with `stellwerk edit --execution ID`.
    """

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            follower = Follower(client, _printer(lang, as_json=as_json), out)
            events = client.resume(execution_id)
            return (await follower.follow(Following.of(execution_id), events)).exit

    run_remote(work, server=server, as_json=as_json)


def regenerate(
    execution_id: IdArgument,
    output: Annotated[int, typer.Option(min=1, help="Number of the output.")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**64 - 1, help="Seed. Unset: a new one.")
    ] = None,
    out: OutOption = DEFAULT_OUT,
    lang: LanguageOption = "",
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Make an output once more from the text that it was made from.

    It becomes a new execution that names the old one. Prints and exits as `run` does.
    """

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            follower = Follower(client, _printer(lang, as_json=as_json), out)
            events = client.regenerate(execution_id, output, seed=seed)
            return (await follower.follow(Following.of(), events)).exit

    run_remote(work, server=server, as_json=as_json)


def _printer(lang: str, *, as_json: bool) -> Printer:
    return JsonPrinter() if as_json else ScreenPrinter(Console(highlight=False), lang)

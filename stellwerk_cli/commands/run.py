"""`stellwerk run`: send an idea through the four stages and take the outputs home."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from servicekit.errors import RemoteError
from stellwerk.common.v1.types_pb2 import SafetyLevel
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk_cli.following import Follower, Following
from stellwerk_cli.options import (
    DEFAULT_OUT,
    DEFAULT_SERVER,
    ApiKeyOption,
    JsonOption,
    LanguageOption,
    Level,
    OutOption,
    ServerOption,
)
from stellwerk_cli.printers import JsonPrinter, Printer
from stellwerk_cli.remote import run_remote
from stellwerk_cli.render import ScreenPrinter
from stellwerk_client.client import StellwerkClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stellwerk_cli.exits import Exit

CANCEL_SECONDS = 20.0
"""How long a cancelled run may take to say that it has ended."""


class OnDisconnect(StrEnum):
    """What happens to a run whose caller goes away."""

    KEEP = "keep"
    CANCEL = "cancel"


@dataclass(frozen=True)
class Idea:
    """What the person asked for, as typed; level None means what the server offers first."""

    config: str
    texts: list[str]
    outputs: list[str] = field(default_factory=list)
    text_only: bool = False
    context: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    level: Level | None = None
    language: str = ""
    seed: int | None = None
    images: list[Path] = field(default_factory=list)
    on_disconnect: OnDisconnect | None = None
    idempotency_key: str = ""


MoreTextsOption = Annotated[
    list[str] | None,
    typer.Option("--text", help="A further text, for configs that need several; repeatable."),
]
ImagesOption = Annotated[
    list[Path] | None,
    typer.Option("--image", exists=True, dir_okay=False, help="A picture; repeatable."),
]
ContextOption = Annotated[str | None, typer.Option(help="Your own rule in place of the config's.")]
OutputsOption = Annotated[
    list[str] | None,
    typer.Option("--output", help="An output config; repeatable. Unset: as the config says."),
]
ParametersOption = Annotated[
    list[str] | None,
    typer.Option("--param", help="`name=value`, the value as JSON or text; repeatable."),
]
LevelOption = Annotated[
    Level | None, typer.Option(help="For whom it must be fit. Unset: as the server offers.")
]
SeedOption = Annotated[
    int | None, typer.Option(min=0, max=2**64 - 1, help="Seed. Unset: a random one.")
]
OnDisconnectOption = Annotated[
    OnDisconnect | None,
    typer.Option(help="What happens when this command is killed. Unset: keep."),
]
KeyOption = Annotated[
    str, typer.Option(help="The same key gives the same execution, never a second one.")
]


def run(
    text: Annotated[
        str | None, typer.Argument(help="Your idea. `-` reads it from standard input.")
    ] = None,
    config: Annotated[str, typer.Option(help="How to rewrite it; see `configs list`.")] = "dada",
    more_texts: MoreTextsOption = None,
    images: ImagesOption = None,
    context: ContextOption = None,
    outputs: OutputsOption = None,
    text_only: Annotated[bool, typer.Option("--text-only", help="No output but text.")] = False,
    parameters: ParametersOption = None,
    level: LevelOption = None,
    lang: LanguageOption = "",
    seed: SeedOption = None,
    session: Annotated[str, typer.Option(help="The sitting that it belongs to.")] = "",
    user: Annotated[str, typer.Option(help="Your pseudonym, never a real name.")] = "",
    group: Annotated[str, typer.Option(help="Class or workshop.")] = "",
    out: OutOption = DEFAULT_OUT,
    on_disconnect: OnDisconnectOption = None,
    idempotency_key: KeyOption = "",
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Run an idea through the four stages; Ctrl-C cancels it.

    Shows the stages and texts as they happen and saves the outputs. With `--json` each line is an
    object with `execution_id`, `event` (what happened, such as `item_recorded`), `epoch`,
    `sequence_number`, `time` and, under the event's name, what it holds, in the words of
    `event.proto`; `output_saved` has the `path` of a saved output. Faults go to stderr.

    Exit codes: 0 COMPLETED, 2 wrong usage or request, 3 BLOCKED, 4 FAILED, 5 CANCELLED,
    6 server not reachable, 7 INTERRUPTED.
    """
    idea = Idea(
        config=config,
        texts=_texts(text, more_texts or []),
        outputs=outputs or [],
        text_only=text_only,
        context=context,
        parameters=_parameters(parameters or []),
        level=level,
        language=lang,
        seed=seed,
        images=images or [],
        on_disconnect=on_disconnect,
        idempotency_key=idempotency_key,
    )
    printer: Printer = JsonPrinter() if as_json else ScreenPrinter(Console(highlight=False), lang)

    async def work() -> Exit:
        async with StellwerkClient(
            server, api_key=api_key, user=user, session=session, group=group
        ) as client:
            return (await run_idea(client, idea, printer, out)).exit

    run_remote(work, server=server, as_json=as_json)


async def run_idea(
    client: StellwerkClient, idea: Idea, printer: Printer, out: Path | None
) -> Following:
    """Run an idea and follow it to its end; Ctrl-C cancels it.

    Args:
        client: The server.
        idea: What to run.
        printer: Who is told.
        out: Folder for outputs; None: they are not saved.

    Returns:
        The execution as it ended.

    Raises:
        RemoteError: The server refused it or cannot be reached.
    """
    request = await request_of(client, idea)
    following = Following.of()
    follower = Follower(client, printer, out)
    with _interrupts() as interrupted:
        work = asyncio.create_task(follower.follow(following, client.run(request)))
        interrupt = asyncio.create_task(interrupted.wait())
        await asyncio.wait((work, interrupt), return_when=asyncio.FIRST_COMPLETED)
        interrupt.cancel()
        if not work.done():
            await _cancel(client, following, work)
        return await work


async def _cancel(
    client: StellwerkClient, following: Following, work: asyncio.Task[Following]
) -> None:
    """Cancel the execution and wait a while for its end."""
    if not following.execution_id:  # whether there will be one is unknown
        work.cancel()
        raise KeyboardInterrupt
    with contextlib.suppress(RemoteError):  # it may have ended meanwhile, or its server
        await client.cancel(following.execution_id)
    done, _ = await asyncio.wait((work,), timeout=CANCEL_SECONDS)
    if not done:
        work.cancel()
        raise KeyboardInterrupt


async def request_of(client: StellwerkClient, idea: Idea) -> orchestrator_pb2.RunExecutionRequest:
    """Return the request for an idea; its pictures are uploaded."""
    if idea.level is None:
        level = (await client.get_server_info()).default_safety_level
    else:
        level = SafetyLevel.Value(f"SAFETY_LEVEL_{idea.level.name}")
    request = orchestrator_pb2.RunExecutionRequest(
        config=idea.config,
        texts=idea.texts,
        images=[await client.upload_media(image) for image in idea.images],
        safety_level=level,
        outputs=idea.outputs,
        text_only=idea.text_only,
        parameters=idea.parameters,
        language=idea.language,
        idempotency_key=idea.idempotency_key,
    )
    if idea.context is not None:
        request.context = idea.context
    if idea.seed is not None:
        request.seed = idea.seed
    if idea.on_disconnect is not None:
        name = f"ON_DISCONNECT_{idea.on_disconnect.name}"
        request.on_disconnect = orchestrator_pb2.OnDisconnect.Value(name)
    return request


def _texts(first: str | None, more: list[str]) -> list[str]:
    if first == "-":
        first = sys.stdin.read().rstrip("\n")
    return [*([] if first is None else [first]), *more]


def _parameters(pairs: list[str]) -> dict[str, str]:
    """Return parameters as JSON texts; what is no JSON is meant as a text."""
    parameters = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"expected name=value, got {pair!r}", param_hint="--param")
        try:
            json.loads(value)
        except ValueError:
            value = json.dumps(value, ensure_ascii=False)
        parameters[name] = value
    return parameters


@contextlib.contextmanager
def _interrupts() -> Iterator[asyncio.Event]:
    """Yield an event that Ctrl-C sets."""
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    try:
        yield interrupted
    finally:
        loop.remove_signal_handler(signal.SIGINT)

"""`stellwerk demo`: from nothing to a picture and three records, with everything shown on the way.

It uses the same supervisor, the same services and the same client as everybody else, so what a
stranger sees here is what there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from servicekit.errors import RemoteError
from stellwerk_cli.commands.run import Idea, run_idea
from stellwerk_cli.console import command_name, complain
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import Level
from stellwerk_cli.ports import free_ports
from stellwerk_cli.render import ScreenPrinter
from stellwerk_cli.runfile import locked_folder
from stellwerk_cli.services import SERVICE_NAMES, describe_services
from stellwerk_cli.supervisor import StartError, Supervisor
from stellwerk_client.client import StellwerkClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stellwerk_cli.following import Following
    from stellwerk_cli.services import ServiceSpec

RECORD_SECONDS = 30.0
"""How long the tracker may take to write a record's file after the run."""
_POLL_SECONDS = 0.1
_LANGUAGE = "de"


@dataclass(frozen=True)
class Act:
    """One run of the demo and how it must end.

    Attributes:
        title: What the stranger is told before.
        config: The config.
        text: The idea.
        expected: How it must end.
        item_type: Items of this type must be in the record …
        item_count: … so often.
    """

    title: str
    config: str
    text: str
    expected: Exit
    item_type: str
    item_count: int


ACTS = (
    Act(
        "An idea becomes Dada, and Dada becomes a picture.",
        "dada",
        "Eine Blume auf der Wiese",
        Exit.OK,
        "output_image",
        1,
    ),
    Act(
        "Stille Post: the idea goes through eight languages, and each pass is recorded.",
        "stillepost",
        "Der kleine Hund spielt mit dem roten Ball im Garten",
        Exit.OK,
        "interception_iteration",
        8,
    ),
    Act(
        "Not everything is for children: the safety service says no, and says it kindly.",
        "dada",
        "Ein Mann ermordet seinen Nachbarn mit einem Messer, überall ist Blut",
        Exit.BLOCKED,
        "stage1_blocked",
        1,
    ),
)


ATTEMPTS = 3
"""How often an idea is tried whose text by the model does not pass its check."""

_HONEST_WORDS = (
    "\nThe embedded model and renderer need no GPU and no internet; they are for first steps. "
    "Real models come by configuration."
)


class UnexpectedError(Exception):
    """The demo did not go as it must."""


def demo() -> None:
    """Start everything in a temporary folder, run three ideas, show where their records are.

    The folder stays, so that pictures and records can be looked at; the services are stopped.
    """
    console = Console(highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="stellwerk-demo-")).resolve()
    try:
        with locked_folder(folder):
            asyncio.run(_demo(console, folder))
    except (UnexpectedError, StartError, OSError) as exc:
        complain(f"{exc}; everything is kept in {folder}")
        raise typer.Exit(Exit.FAULTS) from exc
    except RemoteError as exc:
        complain(f"{exc.message} ({exc.reason or exc.code}); everything is kept in {folder}")
        raise typer.Exit(Exit.FAULTS) from exc
    except KeyboardInterrupt as exc:
        raise typer.Exit(Exit.CTRL_C) from exc


async def _demo(console: Console, folder: Path) -> None:
    console.print(Panel(Text("Stellwerk: a few services, four stages, one record"), expand=False))
    _say(console, f"Starting the services; everything goes to {folder}\n", "dim")
    ends = []
    async with _services(console, folder) as address, StellwerkClient(address) as client:
        for number, act in enumerate(ACTS, start=1):
            _say(console, f"\n{number}. {act.title}", "bold")
            _say(console, f"   „{act.text}“   (config {act.config}, level kids)\n", "italic")
            ends.append(await _play(console, client, act, folder))
        records = [
            await _record_file(folder, act, end) for act, end in zip(ACTS, ends, strict=True)
        ]
        _say(console, "\nStopping the services …", "dim")
    _say_where(console, [path for end in ends for path in end.saved], records)


@contextlib.asynccontextmanager
async def _services(console: Console, folder: Path) -> AsyncIterator[str]:
    """Run the services on free ports; yields the orchestrator's address."""
    specs = describe_services(folder, free_ports(len(SERVICE_NAMES)), os.environ)

    def report(spec: ServiceSpec, words: str) -> None:
        _say(console, f"   {spec.name:<13}{spec.address:<18}{words}", "dim")

    supervisor = Supervisor(specs, folder, restart=True, report=report)
    try:
        await supervisor.start()
        yield specs[0].address
    finally:
        await supervisor.stop()


async def _play(console: Console, client: StellwerkClient, act: Act, folder: Path) -> Following:
    idea = Idea(config=act.config, texts=[act.text], level=Level.KIDS, language=_LANGUAGE)
    for attempt in range(1, ATTEMPTS + 1):
        end = await run_idea(client, idea, ScreenPrinter(console, _LANGUAGE), folder / "outputs")
        if end.exit == act.expected:
            return end
        if end.exit != Exit.BLOCKED or attempt == ATTEMPTS:
            break
        # The model draws its words by lot, and now and then they do not pass their check.
        _say(console, "\n   What the model wrote is not for children. Once more:\n", "italic")
    raise UnexpectedError(
        f"the run {end.execution_id} of {act.config} ended as {end.exit.name}, "
        f"and not as {act.expected.name}"
    )


async def _record_file(folder: Path, act: Act, end: Following) -> Path:
    """Wait for the file of a record, and look whether everything is in it."""
    path = folder / "research_data" / act.config / f"{end.execution_id}.json"
    try:
        async with asyncio.timeout(RECORD_SECONDS):
            record = await _until_complete(path)
    except TimeoutError as exc:
        raise UnexpectedError(f"there is no complete record {path}") from exc
    count = sum(item["item_type"] == act.item_type for item in record["items"])
    if count != act.item_count:
        raise UnexpectedError(f"{path} has {count} items {act.item_type}, not {act.item_count}")
    return path


async def _until_complete(path: Path) -> dict[str, Any]:
    while True:
        if content := await asyncio.to_thread(_content, path):
            record: dict[str, Any] = json.loads(content)
            if record["complete"]:
                return record
        await asyncio.sleep(_POLL_SECONDS)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _say_where(console: Console, pictures: list[Path], records: list[Path]) -> None:
    if not pictures:
        raise UnexpectedError("no picture was saved")
    _say(console, "\nThis is what came of it, and it stays:", "bold green")
    for path in pictures:
        _say(console, f"  picture  {path}")
    for path in records:
        _say(console, f"  record   {path}")
    stellwerk = command_name()
    _say(console, "\nGo on yourself:", "bold")
    _say(console, f"  {stellwerk} up                            serves until Ctrl-C (or: make up),")
    _say(console, "     and prints the address of the page: open it in a browser")
    _say(console, f'  {stellwerk} run "Ein Drache aus Papier"   in a second terminal')
    _say(console, f"  {stellwerk} configs list                  what else there is")
    _say(console, _HONEST_WORDS, "dim")


def _say(console: Console, text: str, style: str = "") -> None:
    # Text, not markup; never wrapped, so that paths can be copied.
    console.print(Text(text, style), soft_wrap=True)

"""`stellwerk up`: serve on this machine until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stellwerk_cli.console import command_name, complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.ports import faulty_ports
from stellwerk_cli.runfile import DataFolderInUseError, forget_run_file, locked_folder
from stellwerk_cli.services import (
    DEFAULT_BASE_PORT,
    LAST_PORT,
    SERVICE_NAMES,
    describe_services,
)
from stellwerk_cli.supervisor import StartError, Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stellwerk_cli.services import ServiceSpec

DEFAULT_DATA = Path("stellwerk-data")


def up(
    data: Annotated[
        Path, typer.Option(help="Folder for records, media, logs and run.json.", file_okay=False)
    ] = DEFAULT_DATA,
    base_port: Annotated[
        int,
        typer.Option(
            min=1,
            max=LAST_PORT - len(SERVICE_NAMES) + 1,
            help="First of five ports: orchestrator, safety, generation, tracker, web page.",
        ),
    ] = DEFAULT_BASE_PORT,
    restart: Annotated[
        bool, typer.Option(help="Start a service again when it ends by itself.")
    ] = True,
    api_keys: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="File of API keys (`stellwerk keys new`). Without it and `--oidc` everybody on "
            "this machine is admin.",
        ),
    ] = None,
    oidc: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="File that says which tokens of a login service count (docs/access.md).",
        ),
    ] = None,
) -> None:
    """Start all services on this machine, one process each, and keep them running.

    Says `ready` on a line of its own once all serve; DIR/run.json tells which process serves
    where, DIR/logs what they log. Ctrl-C or SIGTERM lets them finish and stops them; a second
    Ctrl-C stops them at once. Settings of the services pass through the environment.
    """
    data = data.resolve()
    ports = range(base_port, base_port + len(SERVICE_NAMES))
    keys, tokens = (path.resolve() if path else None for path in (api_keys, oidc))
    try:
        with locked_folder(data):
            _refuse_faulty_ports(ports)
            forget_run_file(data)
            specs = describe_services(data, ports, os.environ, api_keys=keys, oidc=tokens)
            asyncio.run(_serve(specs, data, restart=restart))
    except (DataFolderInUseError, StartError) as exc:
        complain(str(exc))
        raise typer.Exit(Exit.FAULTS) from exc
    except OSError as exc:
        complain(f"{exc.filename or data}: {exc.strerror or exc}")
        raise typer.Exit(Exit.FAULTS) from exc


def _refuse_faulty_ports(ports: Sequence[int]) -> None:
    faults = faulty_ports(ports)
    if faults:
        listed = "; ".join(f"port {port}: {reason}" for port, reason in faults.items())
        complain(f"{listed}; choose other ports with --base-port")
        raise typer.Exit(Exit.USAGE)


async def _serve(specs: Sequence[ServiceSpec], data: Path, *, restart: bool) -> None:
    """Run the services until a signal; the console gets a line for each change."""
    supervisor = Supervisor(specs, data, restart=restart, report=_report)
    with _signals() as (stop, hurry):
        try:
            await _start_unless_stopped(supervisor, stop)
            if not stop.is_set():
                _greet(data, specs)
            await stop.wait()
        finally:
            await supervisor.stop(hurry=hurry)


async def _start_unless_stopped(supervisor: Supervisor, stop: asyncio.Event) -> None:
    starting = asyncio.create_task(supervisor.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting


@contextlib.contextmanager
def _signals() -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Yield two events: set by the first signal to stop, and by the second."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` asks to outlive a terminal
        numbers.append(signal.SIGHUP)

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop, hurry
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _report(spec: ServiceSpec, words: str) -> None:
    say(f"{spec.name:<13}{spec.address:<18}{words}")


def _greet(data: Path, specs: Sequence[ServiceSpec]) -> None:
    # Scripts wait for exactly this line, and no line before it may hold that word: so the path,
    # which is the user's choice, comes after it.
    say("ready")
    (page,) = (spec.address for spec in specs if spec.http)
    say(f"web page: http://{page}")
    say(f"data and logs: {data}")
    say(f'try: {command_name()} run "Eine Blume auf der Wiese"   (Ctrl-C stops the services)')

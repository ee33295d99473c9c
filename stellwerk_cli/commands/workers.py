"""`stellwerk workers`: who makes the media, changed while the service runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from servicekit.plain import enum_word, plain_message
from stellwerk.generation.v1.generation_service_pb2 import Worker, WorkerState
from stellwerk_cli.console import say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import DEFAULT_SERVER, ApiKeyOption, JsonOption, ServerOption
from stellwerk_cli.remote import run_remote
from stellwerk_cli.tables import table
from stellwerk_client.client import StellwerkClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stellwerk_client.jobs import MediaQueue

app = typer.Typer(help="List, add, remove and drain workers.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The worker, as `list` has it.")]

_GIB = 2**30


@app.command("list")
def list_(
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """List all workers and how they are."""
    _with_workers(lambda queue: queue.list_workers(), server, api_key, as_json)


@app.command()
def add(
    address: Annotated[
        str, typer.Argument(metavar="URL", help="A ComfyUI server: `http://gpu1:8188`.")
    ],
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Take up a ComfyUI server; kept over restarts. It need not be reachable yet."""
    _with_worker(lambda queue: queue.add_worker(address), server, api_key, as_json)


@app.command()
def remove(
    name: NameArgument,
    force: Annotated[
        bool, typer.Option(help="Do not wait for its job; that goes to another worker.")
    ] = False,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Let a worker go, for good: when its job is done, or at once."""
    _with_worker(lambda queue: queue.remove_worker(name, force=force), server, api_key, as_json)


@app.command()
def drain(
    name: NameArgument,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Let a worker take no further job, also after a restart; its present one goes on."""
    _with_worker(lambda queue: queue.drain_worker(name), server, api_key, as_json)


@app.command()
def undrain(
    name: NameArgument,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Let a worker take jobs again."""
    _with_worker(lambda queue: queue.undrain_worker(name), server, api_key, as_json)


def _with_worker(
    call: Callable[[MediaQueue], Awaitable[Worker]], server: str, api_key: str, as_json: bool
) -> None:
    async def one(queue: MediaQueue) -> Sequence[Worker]:
        return [await call(queue)]

    _with_workers(one, server, api_key, as_json)


def _with_workers(
    call: Callable[[MediaQueue], Awaitable[Sequence[Worker]]],
    server: str,
    api_key: str,
    as_json: bool,
) -> None:
    """Ask for workers and show them."""

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            workers = await call(client.queue)
        if as_json:
            for worker in workers:
                say(json.dumps(plain_message(worker), ensure_ascii=False))
            return Exit.OK
        for line in worker_lines(workers):
            say(line)
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


def worker_lines(workers: Sequence[Worker]) -> list[str]:
    """Return a table of workers; the faults of ill ones are below their line."""
    head = ("NAME", "STATE", "BACKEND", "DONE", "JOB", "VERSION", "FREE VRAM", "DEVICE")
    lines = table(head, [_row(worker) for worker in workers])
    shown = [lines[0]]
    for line, worker in zip(lines[1:], workers, strict=True):
        shown.append(line)
        if worker.fault:
            shown.append(f"  {worker.fault}")
    return shown


def _row(worker: Worker) -> list[str]:
    total = worker.vram_total_bytes
    return [
        worker.name,
        enum_word(WorkerState.DESCRIPTOR, worker.state),
        worker.backend,
        str(worker.done_count),
        worker.job_id,
        worker.version,
        f"{worker.vram_free_bytes / _GIB:.1f} of {total / _GIB:.1f} GiB" if total else "",
        worker.device,
    ]

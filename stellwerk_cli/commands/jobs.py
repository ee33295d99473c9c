"""`stellwerk jobs`: what is made now, what waits for it, and who may stop it."""

from __future__ import annotations

import json
from contextlib import aclosing
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from servicekit.plain import plain_message
from stellwerk.generation.v1.generation_service_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_DONE,
    GenerateMediaResponse,
    Job,
    JobState,
    QueueStatus,
)
from stellwerk_cli import job_lines
from stellwerk_cli.console import say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import DEFAULT_SERVER, ApiKeyOption, JsonOption, ServerOption
from stellwerk_cli.remote import run_remote
from stellwerk_client.client import StellwerkClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stellwerk_client.jobs import MediaQueue

app = typer.Typer(help="List, show, watch and cancel jobs; pause the queue.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The job, as `list` has it.")]


class State(StrEnum):
    """States to filter by."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    LOST = "lost"


@app.command("list")
def list_(
    state: Annotated[list[State] | None, typer.Option(help="Only these; repeatable.")] = None,
    execution: Annotated[str, typer.Option(metavar="ID", help="Only of this execution.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Most jobs, latest first.")] = 50,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """List the jobs that you may see, the latest first."""
    states = [JobState.Value(f"JOB_STATE_{one.name}") for one in state or []]

    async def work() -> Exit:
        jobs: list[Job] = []
        async with (
            StellwerkClient(server, api_key=api_key) as client,
            aclosing(client.queue.list_jobs(states=states, execution_id=execution)) as listed,
        ):
            async for job in listed:
                jobs.append(job)
                if len(jobs) == limit:
                    break
        if as_json:
            for job in jobs:
                say(json.dumps(plain_message(job), ensure_ascii=False))
        else:
            for line in job_lines.job_table(jobs):
                say(line)
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


@app.command()
def show(
    job_id: IdArgument,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Show how a job stands; a faulty workflow with node, class and input."""

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            job = await client.queue.get_job(job_id)
        if as_json:
            say(json.dumps(plain_message(job), ensure_ascii=False))
        else:
            for line in job_lines.job_facts(job):
                say(line)
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


@app.command()
def cancel(
    job_id: IdArgument,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Cancel a job, on its worker too; one that has ended stays as it is."""

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            state = await client.queue.cancel_job(job_id)
        word = job_lines.state_word(state)
        say(json.dumps({"job_id": job_id, "state": word}) if as_json else f"{job_id}: {word}")
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


@app.command()
def watch(
    job_id: IdArgument,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Watch a job from its beginning to its end; Ctrl-C stops watching only.

    Exits as `run` does: 0 DONE, 5 CANCELLED, 4 anything else.
    """

    async def work() -> Exit:
        last = GenerateMediaResponse()
        async with (
            StellwerkClient(server, api_key=api_key) as client,
            aclosing(client.queue.watch_job(job_id)) as events,
        ):
            async for last in events:
                for line in [_json(last)] if as_json else job_lines.event_lines(last):
                    say(line)
        ends = {JOB_STATE_DONE: Exit.OK, JOB_STATE_CANCELLED: Exit.CANCELLED}
        return ends.get(last.finished.state, Exit.FAILED)

    run_remote(work, server=server, as_json=as_json)


@app.command()
def queue(
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Show how full the queue is."""
    _with_queue(lambda queue: queue.status(), server, api_key, as_json)


@app.command()
def pause(
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Let no further job begin, also after a restart; what runs goes on."""
    _with_queue(lambda queue: queue.pause(), server, api_key, as_json)


@app.command()
def resume(
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Let jobs begin again."""
    _with_queue(lambda queue: queue.resume(), server, api_key, as_json)


def _with_queue(
    call: Callable[[MediaQueue], Awaitable[QueueStatus]], server: str, api_key: str, as_json: bool
) -> None:
    """Ask for the queue and show it."""

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            status = await call(client.queue)
        if as_json:
            say(json.dumps(plain_message(status), ensure_ascii=False))
        else:
            say(job_lines.queue_line(status))
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


def _json(event: GenerateMediaResponse) -> str:
    name = event.WhichOneof("event") or "unknown"
    plain = {"job_id": event.job_id, "event": name, "sequence_number": event.sequence_number}
    what = {} if name == "unknown" else {name: plain_message(getattr(event, name))}
    return json.dumps(plain | what, ensure_ascii=False)

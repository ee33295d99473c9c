"""`stellwerk records`: find, read and take away the records of executions."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from servicekit.plain import enum_word, plain_message
from stellwerk.common.v1.types_pb2 import SafetyLevel
from stellwerk.tracker.v1.execution_pb2 import ExecutionState
from stellwerk.tracker.v1.tracker_service_pb2 import (
    EXECUTION_ORDER_OLDEST_FIRST,
    ListExecutionsRequest,
)
from stellwerk_cli.commands.records_care import erase, receipt, stats, verify
from stellwerk_cli.commands.records_transfer import export, import_
from stellwerk_cli.console import say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import (
    DEFAULT_SERVER,
    ApiKeyOption,
    JsonOption,
    Level,
    ServerOption,
)
from stellwerk_cli.record_options import (
    ConfigFilter,
    SessionFilter,
    StateFilter,
    UserFilter,
    state_numbers,
)
from stellwerk_cli.record_views import View, view_lines
from stellwerk_cli.remote import run_remote
from stellwerk_client.client import StellwerkClient
from stellwerk_client.record_json import record_json

if TYPE_CHECKING:
    from stellwerk.tracker.v1.execution_pb2 import ExecutionSummary

app = typer.Typer(
    help="List, show, export, import, verify, erase and count records.", no_args_is_help=True
)
app.command("export")(export)
app.command("import")(import_)
for command in (verify, erase, receipt, stats):
    app.command()(command)


@app.command("list")
def list_(
    config: ConfigFilter = "",
    session: SessionFilter = "",
    state: StateFilter = None,
    user: UserFilter = "",
    level: Annotated[Level | None, typer.Option(help="Only of this level.")] = None,
    model: Annotated[str, typer.Option(help="Only with this model, as BACKEND/MODEL.")] = "",
    item_type: Annotated[str, typer.Option("--type", help="Only with such an item.")] = "",
    text: Annotated[str, typer.Option(help="Only with words that begin so.")] = "",
    oldest_first: Annotated[bool, typer.Option(help="Turn the order round.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most records.")] = 50,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """List records, newest first."""
    request = ListExecutionsRequest(
        config_name=config,
        session_id=session,
        states=state_numbers(state),
        user_id=user,
        model_used=model,
        item_type=item_type,
        text=text,
    )
    if level is not None:
        request.safety_level = SafetyLevel.Value(f"SAFETY_LEVEL_{level.name}")
    if oldest_first:
        request.order = EXECUTION_ORDER_OLDEST_FIRST

    client = StellwerkClient(server, api_key=api_key)
    work = partial(_list, request, client, limit=limit, as_json=as_json)
    run_remote(work, server=server, as_json=as_json)


async def _list(
    request: ListExecutionsRequest, client: StellwerkClient, *, limit: int, as_json: bool
) -> Exit:
    left = limit
    async with client:
        async for summary in client.records.matching(request):
            if as_json:
                say(json.dumps(plain_message(summary), ensure_ascii=False))
            else:
                say(_line(summary))
            left -= 1
            if left == 0:
                break
    return Exit.OK


@app.command()
def show(
    execution_id: Annotated[str, typer.Argument(metavar="ID", help="The execution.")],
    view: Annotated[
        View | None, typer.Option(help="Who reads: how much is shown. None: one line an item.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The whole record as one JSON object.")
    ] = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Show a record with its items."""

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            record = await client.get_record(execution_id)
        if as_json:
            say(json.dumps(record_json(record), ensure_ascii=False, indent=2))
            return Exit.OK
        say(_line(record.summary))
        if view is not None:
            for line in view_lines(record, view):
                say(line)
            return Exit.OK
        for item in record.items:
            number = item.stage_iteration or item.loop_iteration
            say(
                f"{item.sequence_number:>4}  stage {item.stage}  {item.item_type:<26}"
                f"{number or '':<3} {_short(item.content or item.media.uri)}".rstrip()
            )
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


def _line(summary: ExecutionSummary) -> str:
    state = enum_word(ExecutionState.DESCRIPTOR, summary.state)
    started = summary.start_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
    gaps = "" if summary.complete or not summary.HasField("end_time") else "  incomplete"
    return (
        f"{summary.execution_id}  {started}  {summary.config_name:<18} {state:<11} "
        f"{summary.item_count:>4} items{gaps}  {_short(summary.user_input)}"
    ).rstrip()


def _short(text: str, most: int = 80) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= most else one_line[: most - 1] + "…"

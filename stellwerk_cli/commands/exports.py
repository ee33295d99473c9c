"""`stellwerk exports`: from data to a document in three recorded stages."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from servicekit.plain import plain_message
from stellwerk.tracker.v1 import export_workflow_pb2 as model
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk_cli import export_lines
from stellwerk_cli.commands.exports_delivery import audit, download, finish, regenerate
from stellwerk_cli.commands.exports_editing import edit
from stellwerk_cli.console import say
from stellwerk_cli.exits import Exit
from stellwerk_cli.export_options import (
    DocumentOption,
    FormatFilter,
    Language,
    Status,
    TemplateFilter,
    WorkflowArgument,
    parsed,
    read_json,
)
from stellwerk_cli.options import DEFAULT_SERVER, ApiKeyOption, JsonOption, ServerOption
from stellwerk_cli.record_options import (
    ConfigFilter,
    SessionFilter,
    SinceFilter,
    StateFilter,
    UntilFilter,
    UserFilter,
    set_time,
    state_numbers,
)
from stellwerk_cli.remote import run_remote
from stellwerk_client.client import StellwerkClient
from stellwerk_client.exports import document_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from google.protobuf.message import Message

app = typer.Typer(
    help="Turn executions or any JSON into documents; every stage is recorded.",
    no_args_is_help=True,
)


def start(
    execution_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Executions. None: all that match, or --document."),
    ] = None,
    config: ConfigFilter = "",
    session: SessionFilter = "",
    user: UserFilter = "",
    state: StateFilter = None,
    since: SinceFilter = None,
    until: UntilFilter = None,
    document: DocumentOption = None,
    document_type: Annotated[
        str, typer.Option("--type", help="What kind of data the file holds.")
    ] = "document",
    provenance: Annotated[
        str, typer.Option(help="Where the data of the file come from, as a JSON object.")
    ] = "",
    language: Annotated[
        Language, typer.Option(help="Language of summaries and documents.")
    ] = Language.EN,
    workflow_id: Annotated[
        str, typer.Option("--id", help="A UUID, so that the command can be repeated.")
    ] = "",
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Read data out of a source and have them summarised: the first stage."""
    request = pb.StartExportWorkflowRequest(export_workflow_id=workflow_id, language=language.value)
    if document is not None and any([execution_ids, config, session, user, state, since, until]):
        raise typer.BadParameter("choose executions or a document, not both")
    if execution_ids and len(execution_ids) == 1:
        request.execution_id = execution_ids[0]
    elif document is None:
        request.selection.CopyFrom(
            pb.ExecutionSelection(
                execution_ids=execution_ids or [],
                config_name=config,
                session_id=session,
                user_id=user,
                states=state_numbers(state),
            )
        )
        set_time(request.selection.start_time_from, since)
        set_time(request.selection.start_time_before, until)

    async def ask(client: StellwerkClient) -> pb.StartExportWorkflowResponse:
        if document is not None:
            request.document.CopyFrom(_document(document, document_type, provenance))
        return await client.exports.start(request)

    _run(ask, export_lines.started, server, api_key, as_json=as_json)


def _document(path: Path, kind: str, provenance: str) -> pb.JsonDocument:
    return pb.JsonDocument(
        document_type=kind,
        data_json=document_json(read_json(path)),
        provenance_json=document_json(parsed(provenance)) if provenance else b"",
    )


def show(
    workflow_id: WorkflowArgument,
    data: Annotated[
        bool, typer.Option("--data", help="Only the latest version of the data, as JSON.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The workflow and each record as JSON, one a line.")
    ] = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Show a workflow with all that was recorded of it."""

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            workflow, records = await client.exports.get(workflow_id)
        if data:
            say(json.dumps(export_lines.latest_data(records), ensure_ascii=False, indent=2))
        elif as_json:
            for message in (workflow, *records):
                _say_json(message)
        else:
            for line in export_lines.shown(workflow, records):
                say(line)
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


def history(
    status: Annotated[Status | None, typer.Option(help="Only in this status.")] = None,
    document_type: Annotated[str, typer.Option("--type", help="Only of this type.")] = "",
    form: FormatFilter = "",
    template: TemplateFilter = "",
    since: SinceFilter = None,
    until: UntilFilter = None,
    limit: Annotated[int, typer.Option(min=1, help="Most workflows.")] = 50,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """List your workflows, the latest first."""
    request = pb.ListExportHistoryRequest(
        document_type=document_type, file_format=form, document_template=template
    )
    if status is not None:
        request.status = model.ExportWorkflowStatus.Value(f"EXPORT_WORKFLOW_STATUS_{status.name}")
    set_time(request.create_time_from, since)
    set_time(request.create_time_before, until)
    client = StellwerkClient(server, api_key=api_key)
    work = partial(_history, request, client, limit=limit, as_json=as_json)
    run_remote(work, server=server, as_json=as_json)


async def _history(
    request: pb.ListExportHistoryRequest, client: StellwerkClient, *, limit: int, as_json: bool
) -> Exit:
    request.page_size = min(limit, 1000)
    left = limit
    async with client:
        async for workflow in client.exports.history(request):
            if as_json:
                _say_json(workflow)
            else:
                say(export_lines.line(workflow))
            left -= 1
            if left == 0:
                break
    return Exit.OK


def compare(
    workflow_id: WorkflowArgument,
    from_version: Annotated[int, typer.Argument(min=0, help="0: the machine's data.")],
    to_version: Annotated[int, typer.Argument(min=0, help="As `show` numbers them.")],
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Show what differs between two versions of the data."""

    async def ask(client: StellwerkClient) -> pb.CompareVersionsResponse:
        return await client.exports.compare(workflow_id, from_version, to_version)

    _run(ask, export_lines.compared, server, api_key, as_json=as_json)


def insights(
    since: SinceFilter = None,
    until: UntilFilter = None,
    fields: Annotated[int, typer.Option(min=1, max=100, help="Most corrected fields.")] = 10,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Show figures of your workflows: formats, corrections, times, accuracy."""
    request = pb.GetExportInsightsRequest(field_limit=fields)
    set_time(request.create_time_from, since)
    set_time(request.create_time_before, until)

    async def ask(client: StellwerkClient) -> pb.GetExportInsightsResponse:
        return await client.exports.insights(request)

    _run(ask, export_lines.figures, server, api_key, as_json=as_json)


for command in (
    *(start, edit, finish, regenerate, download),
    *(show, history, compare, insights, audit),
):
    app.command()(command)


def _run(
    ask: Callable[[StellwerkClient], Awaitable[Any]],
    lines_of: Callable[[Any], list[str]],
    server: str,
    api_key: str,
    *,
    as_json: bool,
) -> None:
    """Ask the server and show its answer."""

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            answer = await ask(client)
        if as_json:
            _say_json(answer)
        else:
            for line in lines_of(answer):
                say(line)
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


def _say_json(message: Message) -> None:
    say(json.dumps(plain_message(message), ensure_ascii=False))

"""`stellwerk exports finish`, `regenerate`, `download` and `audit`: documents and their hashes."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from servicekit.plain import plain_message
from stellwerk.tracker.v1 import export_workflow_pb2 as model
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk_cli import export_lines
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.export_options import (
    HERE,
    FormatOption,
    InstructionsOption,
    MadeFileOption,
    TemplateOption,
    ToOption,
    WorkflowArgument,
    preferences,
)
from stellwerk_cli.options import DEFAULT_SERVER, ApiKeyOption, JsonOption, ServerOption
from stellwerk_cli.remote import run_remote
from stellwerk_client.client import StellwerkClient
from stellwerk_client.errors import DownloadBrokenError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def finish(
    workflow_id: WorkflowArgument,
    to: ToOption = HERE,
    form: FormatOption = None,
    template: TemplateOption = None,
    instructions: InstructionsOption = "",
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Have the document made and write it to a file: the third stage. Can be repeated."""
    request = pb.FinishExportWorkflowRequest(
        export_workflow_id=workflow_id,
        preferences=preferences(form, template, instructions),
    )

    async def ask(client: StellwerkClient) -> model.ExportStageRecord:
        return await client.exports.finish(request, to)

    _deliver(ask, export_lines.finished, server, api_key, as_json=as_json)


def regenerate(
    workflow_id: WorkflowArgument,
    to: ToOption = HERE,
    form: FormatOption = None,
    template: TemplateOption = None,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Have the document of a completed workflow made again, in another template or format."""
    request = pb.RegenerateDeliverableRequest(
        export_workflow_id=workflow_id,
        export_format=form or "",
        document_template=template or "",
    )

    async def ask(client: StellwerkClient) -> model.ExportStageRecord:
        return await client.exports.regenerate(request, to)

    _deliver(ask, export_lines.finished, server, api_key, as_json=as_json)


def download(
    workflow_id: WorkflowArgument,
    to: ToOption = HERE,
    version: Annotated[int, typer.Option(min=0, help="Number of the document. 0: the latest.")] = 0,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Write a document that was made before to a file."""

    async def ask(client: StellwerkClient) -> model.Deliverable:
        return await client.exports.download(workflow_id, to, version=version)

    _deliver(ask, export_lines.delivered, server, api_key, as_json=as_json)


def audit(
    workflow_id: Annotated[
        str, typer.Argument(metavar="[ID]", help="Only of this workflow. None: any.")
    ] = "",
    file: MadeFileOption = None,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """List what is known of documents for good, also of removed ones: times and hashes.

    With a file the exit code is 1 when no document with its bytes was made here.
    """
    content_hash = ""
    if file is not None:
        with file.open("rb") as opened:
            content_hash = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"

    async def work() -> Exit:
        count = 0
        async with StellwerkClient(server, api_key=api_key) as client:
            entries = client.exports.audit(
                export_workflow_id=workflow_id, content_hash=content_hash
            )
            async for entry in entries:
                count += 1
                if as_json:
                    say(json.dumps(plain_message(entry), ensure_ascii=False))
                else:
                    say(export_lines.audited(entry))
        if file is not None and not count:
            complain(f"{file}: no document with these bytes was made here")
            return Exit.FAULTS
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


def _deliver(
    ask: Callable[[StellwerkClient], Awaitable[Any]],
    lines_of: Callable[[Any], list[str]],
    server: str,
    api_key: str,
    *,
    as_json: bool,
) -> None:
    """Have a document written and tell about it."""

    async def work() -> Exit:
        try:
            async with StellwerkClient(server, api_key=api_key) as client:
                answer = await ask(client)
        except DownloadBrokenError as exc:
            complain(str(exc))
            return Exit.FAILED
        if as_json:
            say(json.dumps(plain_message(answer), ensure_ascii=False))
        else:
            for line in lines_of(answer):
                say(line)
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)

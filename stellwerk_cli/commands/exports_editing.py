"""`stellwerk exports edit`: correct what the machine read, in an editor or from a file."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from servicekit.plain import plain_message
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk_cli import export_lines
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.export_options import (
    EditedArgument,
    FormatOption,
    InstructionsOption,
    TemplateOption,
    WorkflowArgument,
    parsed,
    preferences,
    read_json,
)
from stellwerk_cli.options import DEFAULT_SERVER, ApiKeyOption, JsonOption, ServerOption
from stellwerk_cli.remote import run_remote
from stellwerk_client.client import StellwerkClient
from stellwerk_client.exports import document_json

if TYPE_CHECKING:
    from stellwerk_client.exports import ExportWorkflows


def edit(
    workflow_id: WorkflowArgument,
    file: EditedArgument = None,
    form: FormatOption = None,
    template: TemplateOption = None,
    instructions: InstructionsOption = "",
    seconds: Annotated[
        float | None, typer.Option(min=0, help="How long the editing took. None: as measured.")
    ] = None,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Record a version of the data: the second stage. May be repeated, or left out."""
    wanted = preferences(form, template, instructions)

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            request = pb.RecordUserModificationsRequest(
                export_workflow_id=workflow_id, user_preferences=wanted
            )
            if seconds is not None:
                request.editing_time_seconds = seconds
            if file is not None:
                request.modified_data_json = document_json(read_json(file))
            elif not await _edit_here(client.exports, request):
                complain("nothing was changed, so nothing is recorded")
                return Exit.USAGE
            answer = await client.exports.edit(request)
        if as_json:
            say(json.dumps(plain_message(answer), ensure_ascii=False))
        else:
            for line in export_lines.edited(answer):
                say(line)
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


async def _edit_here(exports: ExportWorkflows, request: pb.RecordUserModificationsRequest) -> bool:
    """Let the person edit the latest version; return whether it was changed."""
    workflow, records = await exports.get(request.export_workflow_id)
    text = json.dumps(export_lines.latest_data(records), ensure_ascii=False, indent=2)
    began = time.monotonic()
    try:
        changed = await asyncio.to_thread(_in_editor, f"{text}\n")
    except subprocess.CalledProcessError as exc:
        raise typer.BadParameter(f"the editor ended with {exc.returncode}") from exc
    if changed.strip() == text:
        return False
    if not request.HasField("editing_time_seconds"):
        request.editing_time_seconds = time.monotonic() - began
    request.base_version = workflow.modification_version
    request.modified_data_json = document_json(parsed(changed))
    return True


def _in_editor(text: str) -> str:
    """Let the person edit a text in their editor; return what it is then. Blocks."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="stellwerk-edit-") as folder:
        path = Path(folder, "data.json")
        path.write_text(text, encoding="utf-8")
        subprocess.run([*shlex.split(command), str(path)], check=True)
        return path.read_text(encoding="utf-8")

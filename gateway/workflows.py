"""Export workflows as the tracker keeps them: begin, change, deliver, read."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi.responses import StreamingResponse
from google.protobuf.message import Message

from servicekit.channel import ending
from servicekit.errors import InvalidArgumentError, NotFoundError
from servicekit.plain import plain_message
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk.tracker.v1.export_workflow_pb2 import ExportPreferences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.neighbours import Neighbours

Json = dict[str, Any]

START_SECONDS = 180.0
"""A model may write the summary."""
FINISH_SECONDS = 300.0
"""A model writes once more, then a file with pictures is made."""
READ_SECONDS = 600.0
DATA_BYTES = 1024 * 1024
PROVENANCE_BYTES = 64 * 1024
TEMPLATES = ("executive_summary", "full_report", "data_table", "learning_journey")
FORMATS = ("pdf", "docx", "xlsx", "html", "markdown", "csv", "json")
INSTRUCTIONS = 2000
"""Most characters of what the final summary should heed."""


@dataclass(frozen=True)
class Workflow:
    """A workflow with all that was recorded of it, in the plain form of the contract.

    Attributes:
        facts: How far it is.
        records: In the order of stages and versions.
    """

    facts: Json
    records: list[Json] = field(default_factory=list)

    def of_stage(self, stage: str) -> list[Json]:
        """Return the records of a stage, such as `user_modifications`, the earliest first."""
        return [record for record in self.records if record["stage"] == stage]


async def read_workflow(services: Neighbours, workflow_id: str) -> Workflow:
    """Return a workflow with all its records.

    Raises:
        grpc.aio.AioRpcError: There is none of the caller's, or the tracker does not answer.
        NotFoundError: EXPORT_WORKFLOW_NOT_FOUND: the tracker said nothing.
    """
    call = services.workflows.GetExportWorkflow(
        pb.GetExportWorkflowRequest(export_workflow_id=workflow_id), timeout=READ_SECONDS
    )
    facts: Json | None = None
    records = []
    with ending(call):
        async for part in call:
            if part.HasField("workflow"):
                facts = plain_message(part.workflow)
            else:
                records.append(plain_message(part.record))
    if facts is None:
        raise NotFoundError("EXPORT_WORKFLOW_NOT_FOUND", "There is no such export workflow.")
    return Workflow(facts, records)


async def finish(
    services: Neighbours, workflow_id: str, template: str, form: str, instructions: str
) -> OpenedFile:
    """Have the document made; the file can be read from what is returned.

    Raises:
        grpc.aio.AioRpcError: The tracker refuses, or is gone.
    """
    wanted = ExportPreferences(
        document_template=template, export_format=form, transformation_instructions=instructions
    )
    request = pb.FinishExportWorkflowRequest(export_workflow_id=workflow_id, preferences=wanted)
    return await OpenedFile.of(
        services.workflows.FinishExportWorkflow(request, timeout=FINISH_SECONDS)
    )


async def regenerate(
    services: Neighbours, workflow_id: str, template: str, form: str
) -> OpenedFile:
    """Have another document made of the same data.

    Raises:
        grpc.aio.AioRpcError: The tracker refuses, or is gone.
    """
    request = pb.RegenerateDeliverableRequest(
        export_workflow_id=workflow_id, document_template=template, export_format=form
    )
    return await OpenedFile.of(
        services.workflows.RegenerateDeliverable(request, timeout=FINISH_SECONDS)
    )


async def open_file(services: Neighbours, workflow_id: str, version: int) -> OpenedFile:
    """Read a file that was made.

    Args:
        services: The tracker.
        workflow_id: The workflow.
        version: Number of the deliverable; 0: the latest.

    Raises:
        grpc.aio.AioRpcError: There is none, or the tracker does not answer.
    """
    request = pb.ReadDeliverableRequest(export_workflow_id=workflow_id, version=version)
    return await OpenedFile.of(services.workflows.ReadDeliverable(request, timeout=READ_SECONDS))


class OpenedFile:
    """A deliverable of which the description has come, and whose bytes can be read once."""

    def __init__(self, call: Any, described: Message) -> None:
        """Take a call that has told what it brings."""
        self._call = call
        found: Any = described
        content = getattr(found, "final_summary_and_deliverable", None)
        self.deliverable = found if content is None else content.deliverable

    @classmethod
    async def of(cls, call: Any) -> OpenedFile:
        """Wait until a call has told what it brings."""
        try:
            first = await anext(aiter(call))
        except BaseException:
            call.cancel()
            raise
        return cls(call, getattr(first, first.WhichOneof("part")))

    def close(self) -> None:
        """Read no further."""
        self._call.cancel()

    async def bytes(self) -> AsyncIterator[bytes]:
        """Yield the file."""
        with ending(self._call):
            async for part in self._call:
                yield part.data

    def response(self) -> StreamingResponse:
        """Return the file as a download."""
        about = self.deliverable
        headers = {
            "content-disposition": f'attachment; filename="{about.filename}"',
            "content-length": str(about.file_size_bytes),
            "content-digest": content_digest(about.content_hash),
            "cache-control": "private, no-store",
        }
        return StreamingResponse(self.bytes(), headers=headers, media_type=about.mime_type)


def content_digest(content_hash: str) -> str:
    """Write a hash of ours as RFC 9530 does."""
    value = base64.b64encode(bytes.fromhex(content_hash.removeprefix("sha256:")))
    return f"sha-256=:{value.decode()}:"


def json_bytes(value: Any, field_name: str, limit_bytes: int = DATA_BYTES) -> bytes:
    """Write a value as the tracker takes it.

    Raises:
        InvalidArgumentError: DOCUMENT_TOO_LARGE or DOCUMENT_INVALID: no JSON can hold it.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):  # half a character, not a number, endlessly deep
        raise InvalidArgumentError(
            "DOCUMENT_INVALID", "The data are no JSON that can be stored.", field=field_name
        ) from None
    if len(text) > limit_bytes:
        raise InvalidArgumentError(
            "DOCUMENT_TOO_LARGE", f"The data may take {limit_bytes} bytes.", field=field_name
        )
    return text

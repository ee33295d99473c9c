"""Export workflows: from data to a document in three recorded stages; a part of the client."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from servicekit.errors import Code
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk_client import transfers
from stellwerk_client.errors import DownloadBrokenError, StellwerkError, translated
from stellwerk_client.files import PartFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from stellwerk.tracker.v1.export_workflow_pb2 import (
        Deliverable,
        ExportStageRecord,
        ExportWorkflow,
    )
    from stellwerk_client.connections import Connections

Part = TypeVar("Part", pb.FinishExportWorkflowResponse, pb.RegenerateDeliverableResponse)

START_SECONDS = 180.0
"""A model may take its time over a summary."""
FINISH_SECONDS = 420.0
"""A summary, a document, a file, and the sending of it."""
MAX_DOCUMENT_BYTES = 1024 * 1024
_PAGE_SIZE = 100


class ExportWorkflows:
    """The export workflows of one deployment; found as `StellwerkClient.exports`.

    Every method raises `StellwerkError`, and `ServerNotReachableError` when nobody answers. Calls
    with an id of one's own can be repeated.
    """

    def __init__(self, connections: Connections) -> None:
        """Use the connections of a client."""
        self._connections = connections

    async def start(self, request: pb.StartExportWorkflowRequest) -> pb.StartExportWorkflowResponse:
        """Have data read out of a source and summarised: stage 1."""
        _check_size(request.document.data_json, "document.data_json")
        stub = await self._connections.export_workflows()
        with translated():
            return await stub.StartExportWorkflow(request, timeout=START_SECONDS)

    async def edit(
        self, request: pb.RecordUserModificationsRequest
    ) -> pb.RecordUserModificationsResponse:
        """Record a version of the data: stage 2."""
        _check_size(request.modified_data_json, "modified_data_json")
        stub = await self._connections.export_workflows()
        with translated():
            return await stub.RecordUserModifications(request, timeout=START_SECONDS)

    async def finish(self, request: pb.FinishExportWorkflowRequest, to: Path) -> ExportStageRecord:
        """Have the document made, stage 3, and write it to a file or into a folder.

        Args:
            request: What is wanted.
            to: The file, there only when it is whole; in a folder it gets its own name.

        Returns:
            The record.

        Raises:
            OSError: It cannot be written.
        """
        stub = await self._connections.export_workflows()
        call = stub.FinishExportWorkflow(request, timeout=FINISH_SECONDS)
        return await _save(transfers.responses(call, pb.FinishExportWorkflowResponse), to)

    async def regenerate(
        self, request: pb.RegenerateDeliverableRequest, to: Path
    ) -> ExportStageRecord:
        """Have the document made again, in another template or format; see `finish`."""
        stub = await self._connections.export_workflows()
        call = stub.RegenerateDeliverable(request, timeout=FINISH_SECONDS)
        return await _save(transfers.responses(call, pb.RegenerateDeliverableResponse), to)

    async def download(self, export_workflow_id: str, to: Path, *, version: int = 0) -> Deliverable:
        """Write a document that was made to a file or into a folder; version 0 is the latest."""
        stub = await self._connections.export_workflows()
        request = pb.ReadDeliverableRequest(export_workflow_id=export_workflow_id, version=version)
        call = stub.ReadDeliverable(request, timeout=FINISH_SECONDS)
        async with aclosing(transfers.responses(call, pb.ReadDeliverableResponse)) as parts:
            first = (await anext(parts)).deliverable
            await _write((part.data async for part in parts), first, to)
        return first

    async def get(
        self, export_workflow_id: str
    ) -> tuple[ExportWorkflow, Sequence[ExportStageRecord]]:
        """Return a workflow and its records, in the order of stages and versions."""
        stub = await self._connections.export_workflows()
        request = pb.GetExportWorkflowRequest(export_workflow_id=export_workflow_id)
        call = stub.GetExportWorkflow(request, timeout=transfers.TRANSFER_SECONDS)
        async with aclosing(transfers.responses(call, pb.GetExportWorkflowResponse)) as parts:
            workflow = (await anext(parts)).workflow
            return workflow, [part.record async for part in parts]

    async def history(self, request: pb.ListExportHistoryRequest) -> AsyncGenerator[ExportWorkflow]:
        """Yield all workflows that match, the latest first; pages are fetched as needed."""
        page_request = pb.ListExportHistoryRequest()
        page_request.CopyFrom(request)
        page_request.page_size = request.page_size or _PAGE_SIZE
        stub = await self._connections.export_workflows()
        while True:
            with translated():
                page = await stub.ListExportHistory(page_request)
            for workflow in page.workflows:
                yield workflow
            page_request.page_token = page.next_page_token
            if not page_request.page_token:
                return

    async def compare(
        self, export_workflow_id: str, from_version: int, to_version: int
    ) -> pb.CompareVersionsResponse:
        """Return what differs between two versions of the data; 0 is the machine's."""
        stub = await self._connections.export_workflows()
        request = pb.CompareVersionsRequest(
            export_workflow_id=export_workflow_id, from_version=from_version, to_version=to_version
        )
        with translated():
            return await stub.CompareVersions(request, timeout=START_SECONDS)

    async def insights(self, request: pb.GetExportInsightsRequest) -> pb.GetExportInsightsResponse:
        """Return figures of one's workflows."""
        stub = await self._connections.export_workflows()
        with translated():
            return await stub.GetExportInsights(request)

    async def audit(
        self, *, export_workflow_id: str = "", content_hash: str = ""
    ) -> AsyncGenerator[pb.ExportAuditEntry]:
        """Yield what is known of deliverables for good, the latest first; empty: any."""
        request = pb.ListExportAuditRequest(
            export_workflow_id=export_workflow_id, content_hash=content_hash, page_size=_PAGE_SIZE
        )
        stub = await self._connections.export_workflows()
        while True:
            with translated():
                page = await stub.ListExportAudit(request)
            for entry in page.entries:
                yield entry
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def rate(
        self, export_workflow_id: str, score: float, *, version: int = 0, check_name: str = ""
    ) -> ExportStageRecord:
        """Say how good a document is, 0 to 1; oneself, or a check by its name."""
        stub = await self._connections.export_workflows()
        request = pb.RateDeliverableRequest(
            export_workflow_id=export_workflow_id,
            version=version,
            score=score,
            check_name=check_name,
        )
        with translated():
            return (await stub.RateDeliverable(request)).record

    async def record_stage(
        self, request: pb.RecordExportStageRequest
    ) -> pb.RecordExportStageResponse:
        """Record a stage that one's own system did; `StageSpool` also while nobody answers."""
        stub = await self._connections.export_workflows()
        with translated():
            return await stub.RecordExportStage(request, timeout=START_SECONDS)


def document_json(value: Any) -> bytes:
    """Return data as the requests of workflows hold them.

    Args:
        value: JSON values: dict, list, str, int, float, bool, None.

    Raises:
        StellwerkError: DOCUMENT_INVALID: it is no JSON, or holds itself; DOCUMENT_TOO_LARGE.
    """
    try:
        data = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise StellwerkError(
            Code.INVALID_ARGUMENT, "DOCUMENT_INVALID", f"The data are no JSON: {exc}."
        ) from exc
    _check_size(data, "")
    return data


def _check_size(data: bytes, field: str) -> None:
    """Refuse here what gRPC would refuse without a reason."""
    if len(data) > MAX_DOCUMENT_BYTES:
        message = f"The data have {len(data)} bytes; 1 MiB is the limit."
        raise StellwerkError(Code.INVALID_ARGUMENT, "DOCUMENT_TOO_LARGE", message, field or None)


async def _save(responses: AsyncGenerator[Part], to: Path) -> ExportStageRecord:
    async with aclosing(responses) as parts:
        record = (await anext(parts)).record
        deliverable = record.final_summary_and_deliverable.deliverable
        await _write((part.data async for part in parts), deliverable, to)
    return record


async def _write(pieces: AsyncIterator[bytes], deliverable: Deliverable, to: Path) -> None:
    """Write a file that is there whole or not at all.

    Raises:
        DownloadBrokenError: It is not what was announced.
    """
    # Only the last part: a name decides about no folder.
    own_name = Path(deliverable.filename).name or "document"
    path = to / own_name if await asyncio.to_thread(to.is_dir) else to
    with PartFile(path) as file:
        async for data in pieces:
            await asyncio.to_thread(file.write, data)
        if f"sha256:{file.sha256}" != deliverable.content_hash:
            raise DownloadBrokenError(f"{path.name} arrived damaged; try again")
        await asyncio.to_thread(file.commit)

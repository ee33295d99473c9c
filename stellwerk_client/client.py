"""The client for Python tools: run ideas, watch them, take pictures and records home.

It needs one address, the orchestrator's, and asks there for the others. Requests and answers are
the messages of the contract, so whatever a service learns to say can be read at once. What the
client adds: every call ends in time, failures have one shape, and long transfers go on after a
broken connection.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Self

from servicekit.principals import identity_metadata
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk.tracker.v1 import export_service_pb2 as export_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk_client import transfers
from stellwerk_client.connections import Connections, trusted_authorities
from stellwerk_client.errors import DownloadBrokenError, StellwerkError, translated
from stellwerk_client.exports import ExportWorkflows
from stellwerk_client.files import PartFile, ResumableFile
from stellwerk_client.jobs import MediaQueue
from stellwerk_client.patience import in_turn
from stellwerk_client.records import Records, timestamp_of
from stellwerk_client.steps import Steps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from datetime import datetime

    from stellwerk.common.v1.types_pb2 import MediaRef
    from stellwerk.generation.v1.generation_service_pb2 import ReadMediaResponse
    from stellwerk.orchestrator.v1.event_pb2 import Execution, ExecutionEvent
    from stellwerk.tracker.v1.execution_pb2 import (
        ExecutionRecord,
        ExecutionState,
        ExecutionSummary,
    )

RUN_SECONDS = 3600.0
_PAGE_SIZE = 100


class StellwerkClient:
    """One deployment, as one person or tool sees it. Use it as an async context.

    Every method raises `StellwerkError` when a service refuses or fails, and its subclass
    `ServerNotReachableError` when none answers.

    Attributes:
        exports: From data to documents in recorded stages.
        queue: The jobs and workers behind the outputs.
        steps: Working step by step, with edits in between.
    """

    def __init__(
        self,
        server: str,
        *,
        api_key: str | None = None,
        user: str = "",
        session: str = "",
        group: str = "",
        run_seconds: float = RUN_SECONDS,
        tls_ca: Path | None = None,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            server: The orchestrator, `host:port`.
            api_key: Shown on each call; none is needed on the server's own machine.
            user: Pseudonym to act for, where the key allows it. Empty: the key's own.
            session: The sitting that executions belong to. Empty: the key's own.
            group: Class or workshop. Empty: the key's own.
            run_seconds: Limit of a run or watch, in seconds.
            tls_ca: See `trusted_authorities`.
        """
        identity = identity_metadata(user=user, session=session, group=group)
        self._connections = Connections(server, api_key, identity, trusted_authorities(tls_ca))
        self._run_seconds = run_seconds
        self.records = Records(self._connections)
        self.exports = ExportWorkflows(self._connections)
        self.queue = MediaQueue(self._connections, run_seconds)
        self.steps = Steps(self._connections, run_seconds)

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close all channels."""
        await self.close()

    async def close(self) -> None:
        """Close all channels."""
        await self._connections.close()

    async def get_server_info(self) -> orchestrator_pb2.GetServerInfoResponse:
        """Return what the deployment is and where its services are."""
        return await self._connections.info()

    def run(self, request: orchestrator_pb2.RunExecutionRequest) -> AsyncGenerator[ExecutionEvent]:
        """Run an idea and yield what happens until its end.

        Leaving the loop closes the call; `request.on_disconnect` says what then becomes of the run.
        """
        stub, wish = self._connections.orchestrator, transfers.batched(request)
        return transfers.events(stub.RunExecution(wish, timeout=self._run_seconds))

    def watch(
        self, execution_id: str, *, after_epoch: int = 0, after_sequence: int = 0
    ) -> AsyncGenerator[ExecutionEvent]:
        """Yield what happened after a token (that of an earlier event), then what happens."""
        request = orchestrator_pb2.WatchExecutionRequest(
            execution_id=execution_id, after_epoch=after_epoch, after_sequence=after_sequence
        )
        stub, wish = self._connections.orchestrator, transfers.batched(request)
        return transfers.events(stub.WatchExecution(wish, timeout=self._run_seconds))

    def resume(self, execution_id: str) -> AsyncGenerator[ExecutionEvent]:
        """Go on with an interrupted execution and yield what happens until its end."""
        request = orchestrator_pb2.ResumeExecutionRequest(execution_id=execution_id)
        stub = self._connections.orchestrator
        return transfers.events(stub.ResumeExecution(request, timeout=self._run_seconds))

    def regenerate(
        self, execution_id: str, loop_iteration: int = 1, *, seed: int | None = None
    ) -> AsyncGenerator[ExecutionEvent]:
        """Make an output once more from its text and yield what happens in the new execution.

        Args:
            execution_id: The execution that the output belongs to.
            loop_iteration: The output, from 1.
            seed: None = a new one.
        """
        kind = orchestrator_pb2.RegenerateOutputRequest
        request = kind(execution_id=execution_id, loop_iteration=loop_iteration, seed=seed)
        stub = self._connections.orchestrator
        return transfers.events(stub.RegenerateOutput(request, timeout=self._run_seconds))

    async def get_execution(self, execution_id: str) -> Execution:
        """Return where an execution stands."""
        request = orchestrator_pb2.GetExecutionRequest(execution_id=execution_id)
        with translated():
            return (await self._connections.orchestrator.GetExecution(request)).execution

    async def cancel(self, execution_id: str) -> Execution:
        """End an execution; one that has ended stays as it is."""
        request = orchestrator_pb2.CancelExecutionRequest(execution_id=execution_id)
        with translated():
            return (await self._connections.orchestrator.CancelExecution(request)).execution

    async def list_configs(
        self,
        kind: orchestrator_pb2.ConfigKind.ValueType = orchestrator_pb2.CONFIG_KIND_UNSPECIFIED,
    ) -> AsyncGenerator[orchestrator_pb2.ConfigSummary]:
        """Yield the configs of a kind; UNSPECIFIED = of all kinds."""
        request = orchestrator_pb2.ListConfigsRequest(kind=kind, page_size=_PAGE_SIZE)
        while True:
            with translated():
                page = await self._connections.orchestrator.ListConfigs(request)
            for config in page.configs:
                yield config
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def get_config(
        self,
        config_id: str,
        kind: orchestrator_pb2.ConfigKind.ValueType = orchestrator_pb2.CONFIG_KIND_INTERCEPTION,
    ) -> orchestrator_pb2.GetConfigResponse:
        """Return a config with everything that it refers to resolved."""
        request = orchestrator_pb2.GetConfigRequest(id=config_id, kind=kind)
        with translated():
            return await self._connections.orchestrator.GetConfig(request)

    async def upload_media(self, content: bytes | Path, *, filename: str = "") -> MediaRef:
        """Store a picture for a later run.

        Args:
            content: Its bytes or its file.
            filename: A name for people; empty = that of the file.

        Raises:
            OSError: The file cannot be read.
        """
        if isinstance(content, Path):
            filename = filename or content.name
            await asyncio.to_thread(content.stat)  # a missing file is no failed call
        stub = await self._connections.generation()
        requests = transfers.upload_requests(content, filename)
        with translated():
            response = await stub.UploadMedia(requests, timeout=transfers.TRANSFER_SECONDS)
        return response.media

    async def read_media(self, execution_id: str, item_id: str) -> AsyncGenerator[bytes]:
        """Yield the bytes of an item's file."""
        stub = await self._connections.generation()
        async with aclosing(transfers.download(stub, execution_id, item_id)) as pieces:
            async for piece in pieces:
                yield piece.data

    async def save_media(self, execution_id: str, item_id: str, to: Path) -> MediaRef:
        """Save the file of an item, whole or not at all.

        Args:
            execution_id: The execution.
            item_id: The item.
            to: The file to write; folders are made.

        Returns:
            The file as the server describes it.

        Raises:
            DownloadBrokenError: What arrived is not what the server described.
            OSError: It cannot be written.
        """
        stub = await self._connections.generation()
        first: ReadMediaResponse | None = None
        with PartFile(to) as file:
            async with aclosing(transfers.download(stub, execution_id, item_id)) as pieces:
                async for piece in pieces:
                    if first is None and piece.HasField("media"):
                        first = piece
                    await asyncio.to_thread(file.write, piece.data)
            if first is None or not transfers.is_whole(file, first):
                raise DownloadBrokenError(f"{to.name} arrived damaged; try again")
            await asyncio.to_thread(file.commit)
        return first.media

    async def save_mark(self, execution_id: str, item_id: str, to: Path) -> bool:
        """Save the mark beside an item's file, which its format cannot carry inside, such as GLB.

        Args:
            execution_id: The execution.
            item_id: The item.
            to: The file to write, by custom that of the item with `.c2pa` behind its name.

        Returns:
            Whether there is one.

        Raises:
            DownloadBrokenError: Not all of it arrived.
            OSError: It cannot be written.
        """
        stub = await self._connections.generation()
        size = -1
        with PartFile(to) as file:
            download = transfers.download(stub, execution_id, item_id, manifest=True)
            try:
                async with aclosing(download) as pieces:
                    async for piece in pieces:
                        if piece.HasField("delivery"):
                            size = piece.delivery.size_bytes
                        await asyncio.to_thread(file.write, piece.data)
            except StellwerkError as exc:
                if exc.reason == "MANIFEST_UNAVAILABLE":
                    return False
                raise
            if file.size_bytes != size:
                raise DownloadBrokenError(f"{to.name} arrived damaged; try again")
            await asyncio.to_thread(file.commit)
        return True

    async def list_executions(
        self,
        *,
        config_name: str = "",
        session_id: str = "",
        states: Sequence[ExecutionState.ValueType] = (),
        start_time_from: datetime | None = None,
        start_time_before: datetime | None = None,
    ) -> AsyncGenerator[ExecutionSummary]:
        """Yield the records that match, newest first; what is left out does not filter.

        Args:
            config_name: Only of this config.
            session_id: Only of this session.
            states: Only in one of these states.
            start_time_from: Only started at or after this aware time.
            start_time_before: Only started before this aware time.
        """
        request = tracker_pb2.ListExecutionsRequest(
            config_name=config_name,
            session_id=session_id,
            states=states,
            start_time_from=timestamp_of(start_time_from),
            start_time_before=timestamp_of(start_time_before),
        )
        async with aclosing(self.records.matching(request)) as found:
            async for summary in found:
                yield summary

    async def get_record(self, execution_id: str) -> ExecutionRecord:
        """Return an execution with all its items; `record_json` gives its JSON form."""
        stub = await self._connections.tracker()
        request = tracker_pb2.GetExecutionRequest(execution_id=execution_id)
        return (await in_turn(lambda: stub.GetExecution(request))).record

    async def get_plan(self, execution_id: str) -> bytes:
        """Return what an execution was resolved to at its start, as JSON."""
        stub = await self._connections.tracker()
        request = tracker_pb2.GetPlanRequest(execution_id=execution_id)
        return (await in_turn(lambda: stub.GetPlan(request))).plan.plan_json

    async def export(
        self,
        execution_ids: Sequence[str] = (),
        form: export_pb2.ExportFormat.ValueType = export_pb2.EXPORT_FORMAT_JSON,
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of one file of these executions; none = of all that one may see."""
        request = export_pb2.ExportExecutionsRequest(format=form, execution_ids=execution_ids)
        stub = await self._connections.export()
        async with aclosing(transfers.export(stub, request)) as chunks:
            async for chunk in chunks:
                yield chunk.data

    async def export_chunks(
        self, request: export_pb2.ExportExecutionsRequest
    ) -> AsyncGenerator[export_pb2.ExportExecutionsResponse]:
        """Yield the chunks of one file as they come; its cursor is where to begin."""
        rest = export_pb2.ExportExecutionsRequest()
        rest.CopyFrom(request)
        stub = await self._connections.export()
        async with aclosing(transfers.export(stub, rest)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def export_records(
        self,
        request: export_pb2.ExportExecutionsRequest,
        to: Path,
        on_chunk: Callable[[export_pb2.ExportExecutionsResponse], None] | None = None,
    ) -> int:
        """Export to a file, which is there only when it is whole.

        An export that was broken off leaves `<to>.part` and goes on from there when it is asked
        for again, also by another process.

        Args:
            request: What to export; its cursor is not looked at.
            to: The file to write; folders are made.
            on_chunk: Told of each chunk that is written, also of those that only say how far the
                server is; must not block.

        Returns:
            Its size in bytes.

        Raises:
            OSError: It cannot be written.
        """
        stub = await self._connections.export()
        with ResumableFile(to, transfers.digest_of(request)) as file:
            try:
                await transfers.export_to(file, stub, request, on_chunk)
            except StellwerkError as exc:
                if exc.reason != "CURSOR_INVALID" or not file.progress.cursor:
                    raise
                file.restart()
                await transfers.export_to(file, stub, request, on_chunk)
            await asyncio.to_thread(file.commit)
            return file.progress.size_bytes

    async def import_records(
        self,
        path: Path,
        *,
        filename: str = "",
        dry_run: bool = False,
        on_sent: Callable[[int], None] | None = None,
    ) -> export_pb2.ImportExecutionsResponse:
        """Import the records of a file; repeating it stores nothing twice.

        Args:
            path: A JSON, JSON Lines or ZIP file.
            filename: Its name in the report. Empty: that of the file.
            dry_run: Only say what would be done.
            on_sent: Told how many bytes are sent so far; must not block.

        Returns:
            The report.

        Raises:
            OSError: It cannot be read.
        """
        await asyncio.to_thread(path.stat)  # a missing file is no failed call
        stub = await self._connections.export()
        header = export_pb2.ImportExecutionsHeader(filename=filename or path.name, dry_run=dry_run)
        requests = transfers.import_requests(path, header, on_sent)
        with translated():
            return await stub.ImportExecutions(requests, timeout=transfers.IMPORT_SECONDS)

"""One prompt on one worker, from the post to the stored files.

Whatever happens on the way, the worker is left as if the prompt had never been there: it does not
run on for nobody, and its history entry is deleted. Only a prompt that was released stays.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING

from generation_service.backends.comfyui.answers import INTERRUPTED
from generation_service.backends.comfyui.errors import (
    JobFaultError,
    OutputUnreadableError,
    PromptReleasedError,
    WorkerFaultError,
    WorkerOutOfMemoryError,
    WorkerRefusedError,
    WorkflowPartlyInvalidError,
)
from generation_service.backends.comfyui.http import NotConnectedError
from generation_service.backends.comfyui.outputs import FoundOutputs, fetch_outputs, find_outputs
from generation_service.backends.comfyui.posting import post_prompt
from generation_service.backends.comfyui.prompt import PromptResult
from generation_service.backends.comfyui.verdict import find_failure
from generation_service.backends.comfyui.watch import OverdueError, Watch

if TYPE_CHECKING:
    from generation_service.backends.comfyui.answers import HistoryEntry, Receipt
    from generation_service.backends.comfyui.broom import Broom
    from generation_service.backends.comfyui.mailbox import Mailbox
    from generation_service.backends.comfyui.prompt import OutputSink, Prompt, Report, RunLimits
    from generation_service.backends.comfyui.routes import WorkerRoutes
    from generation_service.backends.comfyui.socket import WorkerSocket


class Trace(StrEnum):
    """What of a prompt is on its worker."""

    NONE = "none"
    MAYBE = "maybe"  # it may wait or run, now or in a moment
    ENDED = "ended"  # at most an entry in the history


class PromptRun:
    """Runs a prompt, or takes one over that is already on the worker."""

    def __init__(
        self,
        routes: WorkerRoutes,
        socket: WorkerSocket,
        broom: Broom,
        prompt: Prompt,
        limits: RunLimits,
    ) -> None:
        """Build it.

        Args:
            routes: The worker.
            socket: Its socket.
            broom: Cleans up behind it.
            prompt: What to run.
            limits: The rhythm.
        """
        self._routes = routes
        self._socket = socket
        self._broom = broom
        self._prompt = prompt
        self._limits = limits
        self._watch: Watch | None = None
        self._receipt: Receipt | None = None
        self._posting: asyncio.Task[Receipt | None] | None = None
        self._trace = Trace.NONE
        self._released = False
        self._delivered = False

    def release(self) -> None:
        """Let go: the prompt goes on without us, and its end is kept on the worker."""
        self._released = True
        if self._watch is not None:
            self._watch.release()

    async def run(self, sink: OutputSink, report: Report, *, resume: bool) -> PromptResult:
        """Run it to its end.

        Args:
            sink: Gets the files.
            report: Told what happens.
            resume: It is on the worker already.

        Raises:
            ComfyUIError: It did not give what it should.
            PromptReleasedError: `release` was called in time.
        """
        with self._socket.watching(self._prompt.prompt_id) as box:
            try:
                return await self._run(box, sink, report, resume=resume)
            except asyncio.CancelledError:
                await self._leave_cancelled()
                raise
            except WorkerFaultError as exc:
                if self._released:
                    raise PromptReleasedError(self._prompt.prompt_id) from exc
                raise
            finally:
                self._leave()

    async def _run(
        self, box: Mailbox, sink: OutputSink, report: Report, *, resume: bool
    ) -> PromptResult:
        if not resume and not self._socket.is_open and not self._socket.is_hopeless:
            await self._socket.ready(self._limits.socket_seconds)
        self._watch = Watch(self._routes, self._socket, box, self._prompt, report, self._limits)
        if self._released:
            raise PromptReleasedError(self._prompt.prompt_id)
        self._trace = Trace.MAYBE
        if not resume:
            await self._post(self._watch)
        entry = await self._until_ended(self._watch)
        self._trace = Trace.ENDED
        found = self._judge(entry, box)
        await self._fetch(found, sink)
        self._delivered = True
        return self._result(found, self._watch)

    async def _post(self, watch: Watch) -> None:
        """Post it; the post is finished even when we are cancelled, so that it can be undone."""
        client_id, status_count = self._socket.client_id, self._socket.status_count
        self._posting = asyncio.create_task(
            post_prompt(self._routes, self._prompt, client_id, self._limits)
        )
        try:
            self._receipt = await asyncio.shield(self._posting)
        except (JobFaultError, NotConnectedError, WorkerRefusedError):
            self._trace = Trace.NONE
            raise
        watch.posted_as(client_id)
        self._socket.expect_status(status_count)
        if self._receipt is not None and self._receipt.faults:
            await self._broom.stop(self._prompt.prompt_id)
            self._trace = Trace.ENDED
            raise WorkflowPartlyInvalidError(faults=self._receipt.faults)

    async def _until_ended(self, watch: Watch) -> HistoryEntry:
        try:
            return await watch.until_ended()
        except OverdueError as exc:
            entry = await self._broom.stop(self._prompt.prompt_id)
            if entry is None or entry.ending == INTERRUPTED:
                self._trace = Trace.ENDED
                raise exc.error from exc
            return entry  # it was ready in the last moment

    def _judge(self, entry: HistoryEntry, box: Mailbox) -> FoundOutputs:
        failure = find_failure(entry, self._prompt.workflow.graph)
        if failure is not None:
            if isinstance(failure, WorkerOutOfMemoryError):
                self._broom.free_memory()
            raise failure
        return find_outputs(
            entry,
            self._prompt.workflow.outputs,
            self._prompt.workflow.graph,
            blocked=box.blocked,
            max_files=self._limits.max_output_files,
        )

    async def _fetch(self, found: FoundOutputs, sink: OutputSink) -> None:
        try:
            async with asyncio.timeout(self._limits.fetch_seconds):
                await fetch_outputs(self._routes, found.files, sink, self._limits.max_output_bytes)
        except TimeoutError as exc:
            raise OutputUnreadableError("fetching the files took too long") from exc
        except OutputUnreadableError:
            if found.reused:  # or the worker would name the same lost file again
                self._broom.free_memory()
            raise

    def _result(self, found: FoundOutputs, watch: Watch) -> PromptResult:
        workflow = self._prompt.workflow
        return PromptResult(
            prompt_id=self._prompt.prompt_id,
            workflow_sha256=workflow.sha256,
            applied=workflow.applied,
            warnings=workflow.warnings,
            files=tuple(each.file for each in found.files),
            texts=found.texts,
            outputs_reused=found.reused,
            durations=watch.durations,
            worker_number=self._receipt.number if self._receipt is not None else None,
        )

    async def _leave_cancelled(self) -> None:
        """End the prompt on the worker; a second cancel leaves that to the broom."""
        if self._released or self._trace is not Trace.MAYBE:
            return
        if self._posting is not None and not self._posting.done():
            await asyncio.wait({self._posting}, timeout=self._limits.call_seconds)
        if await self._broom.stop_quietly(self._prompt.prompt_id):
            self._trace = Trace.ENDED

    def _leave(self) -> None:
        """Have the worker forget the prompt; if it may still be there, also stop it first."""
        if self._posting is not None and not self._posting.done():
            self._posting.cancel()
        if self._posting is not None and self._posting.done() and not self._posting.cancelled():
            self._posting.exception()  # it was reported, or nobody is there to hear it
        if self._trace is not Trace.NONE and (self._delivered or not self._released):
            self._broom.forget(self._prompt.prompt_id, stop=self._trace is Trace.MAYBE)

"""One ComfyUI worker, as the queue sees it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from generation_service.backends.comfyui.broom import Broom
from generation_service.backends.comfyui.catalogue import NodeCatalogue
from generation_service.backends.comfyui.http import HttpDoor
from generation_service.backends.comfyui.outputs import extension_of
from generation_service.backends.comfyui.prompt import RunLimits
from generation_service.backends.comfyui.routes import WorkerRoutes
from generation_service.backends.comfyui.run import PromptRun
from generation_service.backends.comfyui.socket import WorkerSocket

if TYPE_CHECKING:
    from types import TracebackType

    from generation_service.backends.comfyui.answers import QueueView, WorkerStats
    from generation_service.backends.comfyui.errors import ComfyUIError
    from generation_service.backends.comfyui.http import HttpLimits
    from generation_service.backends.comfyui.prompt import (
        Happening,
        OutputSink,
        Prompt,
        PromptResult,
        Report,
    )
    from generation_service.backends.comfyui.socket import SocketLimits


def _ignore(_: Happening) -> None:
    """Report to nobody."""


class ComfyUIWorker:
    """A worker: one pool of connections, one socket, any number of prompts.

    The server runs one prompt at a time, so more than one given at once only waits there. Use it
    as `async with`, or call `start` and `close`.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "",
        limits: RunLimits | None = None,
        http_limits: HttpLimits | None = None,
        socket_limits: SocketLimits | None = None,
    ) -> None:
        """Build it; nothing is sent yet.

        Args:
            url: Where the worker's paths begin, such as `http://gpu1:8188`.
            name: For people and logs; host and port unless given.
            limits: The rhythm of looking after prompts.
            http_limits: Of each call.
            socket_limits: Of the socket.
        """
        parts = urlsplit(url)
        self._name = name or (f"{parts.hostname}:{parts.port}" if parts.port else parts.netloc)
        self._limits = limits or RunLimits()
        self._door = HttpDoor(url, http_limits)
        self._routes = WorkerRoutes(self._door)
        self._socket = WorkerSocket(url, socket_limits)
        self._broom = Broom(self._name, self._routes, self._socket, self._limits)
        self._runs: dict[str, PromptRun] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def name(self) -> str:
        """For people and logs."""
        return self._name

    @property
    def is_connected(self) -> bool:
        """Whether its socket is open, a good sign that it is there."""
        return self._socket.is_open

    @property
    def running(self) -> frozenset[str]:
        """Prompts that are being waited for."""
        return frozenset(self._runs)

    @property
    def unfinished(self) -> frozenset[str]:
        """Prompts that nobody waits for and that may still run; give it no new work meanwhile."""
        return self._broom.unfinished

    @property
    def trouble(self) -> ComfyUIError | None:
        """Why it should get no work, found while cleaning up; None: no reason known.

        Cleared by the next prompt that ends well.
        """
        return self._broom.trouble

    def start(self) -> None:
        """Open its socket and begin to clean up."""
        self._socket.start()
        self._broom.start()

    async def close(self) -> None:
        """Close everything; prompts that still run here are left on the worker."""
        for run in self._runs.values():
            run.release()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.call_seconds):
                await self._idle.wait()
        await self._broom.close()
        await self._socket.close()
        await self._door.close()

    async def __aenter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()

    async def run(self, prompt: Prompt, sink: OutputSink, report: Report = _ignore) -> PromptResult:
        """Run a prompt to its end and store its files. Cancelling the call ends the prompt.

        Args:
            prompt: What to run; its id must never have been used.
            sink: Gets the files, before this returns.
            report: Told what happens meanwhile.

        Raises:
            JobFaultError: It would fail on every worker.
            WorkerFaultError: Another worker may do it.
            PromptReleasedError: `release` was called in time.
            ValueError: This very prompt is being run.
        """
        return await self._run(prompt, sink, report, resume=False)

    async def resume(
        self, prompt: Prompt, sink: OutputSink, report: Report = _ignore
    ) -> PromptResult:
        """Take over a prompt that was given to this worker before, also by an earlier process.

        Its messages go to whoever posted it, so progress is coarse; the end is found all the
        same. Arguments and errors are those of `run`; PromptLostError means that the worker does
        not know it.
        """
        return await self._run(prompt, sink, report, resume=True)

    def release(self, prompt_id: str) -> None:
        """Let go of a prompt: `run` ends with PromptReleasedError and the worker goes on."""
        if prompt_id in self._runs:
            self._runs[prompt_id].release()

    async def cancel(self, prompt_id: str) -> None:
        """End a prompt that nobody here waits for, in whatever state it is.

        Raises:
            WorkerDeadError: The worker answers, and it runs on.
            WorkerFaultError: The worker does not answer.
        """
        await self._broom.stop(prompt_id)
        self._broom.forget(prompt_id, stop=False)

    async def upload(self, data: bytes, filename: str) -> str:
        """Put an input file on the worker, named by its content.

        Args:
            data: The file.
            filename: Only its extension is used, since loaders go by it.

        Returns:
            The name for the graph.

        Raises:
            UploadRefusedError: The worker does not take it.
            WorkerFaultError: The worker does not answer properly.
        """
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        return await self._routes.upload(f"{digest}.{extension_of(filename) or 'bin'}", data)

    async def stats(self) -> WorkerStats:
        """Ask how it is.

        Raises:
            WorkerFaultError: It does not answer properly.
        """
        return await self._routes.stats()

    async def queue(self) -> QueueView:
        """Ask what it runs.

        Raises:
            WorkerFaultError: It does not answer properly.
        """
        return await self._routes.queue()

    async def catalogue(self) -> NodeCatalogue:
        """Fetch what its nodes are, to check workflows against.

        Raises:
            WorkerFaultError: It does not answer properly.
        """
        return NodeCatalogue(await self._routes.object_info())

    async def free(self) -> None:
        """Have it unload its models and drop cached results, after what runs.

        Raises:
            WorkerFaultError: It may not have heard.
        """
        await self._routes.free(unload_models=True, free_memory=True)

    async def _run(
        self, prompt: Prompt, sink: OutputSink, report: Report, *, resume: bool
    ) -> PromptResult:
        if prompt.prompt_id in self._runs:
            raise ValueError(f"prompt {prompt.prompt_id} is being run already")
        run = PromptRun(self._routes, self._socket, self._broom, prompt, self._limits)
        self._runs[prompt.prompt_id] = run
        self._idle.clear()
        try:
            result = await run.run(sink, report, resume=resume)
        finally:
            del self._runs[prompt.prompt_id]
            if not self._runs:
                self._idle.set()
        self._broom.clear_trouble()
        return result

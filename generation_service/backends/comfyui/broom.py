"""Cleaning up on a worker, so that no prompt waits for it and none is forgotten.

History entries are deleted in batches behind the back of the runs. A prompt whose run was given
up (worker away, second cancel) is stopped as soon as the worker answers again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

import structlog

from generation_service.backends.comfyui.errors import (
    ComfyUIError,
    WorkerDeadError,
    WorkerFaultError,
)
from generation_service.backends.comfyui.stop import Stopper

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from generation_service.backends.comfyui.answers import HistoryEntry
    from generation_service.backends.comfyui.prompt import RunLimits
    from generation_service.backends.comfyui.routes import WorkerRoutes
    from generation_service.backends.comfyui.socket import WorkerSocket

log = structlog.get_logger()

MAX_PENDING = 1000
"""Prompts to clean up; the oldest are given up, since a worker drops old history itself."""
_BATCH = 100
_GATHER_SECONDS = 0.05
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_CLOSE_SECONDS = 2.0


class Broom:
    """Cleans up on one worker."""

    def __init__(
        self, worker: str, routes: WorkerRoutes, socket: WorkerSocket, limits: RunLimits
    ) -> None:
        """Build it; `start` sets it to work.

        Args:
            worker: Its name, for the log.
            routes: The worker.
            socket: Its socket, which says when something ended.
            limits: The rhythm.
        """
        self._worker = worker
        self._routes = routes
        self._socket = socket
        self._limits = limits
        self._pending: deque[str] = deque(maxlen=MAX_PENDING)
        self._to_stop: deque[str] = deque(maxlen=MAX_PENDING)
        self._stops: dict[str, asyncio.Task[HistoryEntry | None]] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._trouble: ComfyUIError | None = None

    @property
    def trouble(self) -> ComfyUIError | None:
        """What is wrong with the worker beyond one prompt; None: nothing that we know."""
        return self._trouble

    @property
    def unfinished(self) -> frozenset[str]:
        """Prompts that may still run although nobody waits for them."""
        return frozenset((*self._to_stop, *self._stops))

    def start(self) -> None:
        """Begin to work."""
        if self._task is None:
            self._task = asyncio.create_task(self._sweep(), name="comfyui_broom")

    async def close(self) -> None:
        """Stop working, after a last attempt to have the worker forget what it should."""
        tasks: list[asyncio.Task[Any]] = [*self._stops.values(), *self._errands]
        tasks += [self._task] if self._task is not None else []
        self._task = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(WorkerFaultError, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                while self._pending:
                    await self._forget_some()

    def clear_trouble(self) -> None:
        """The worker has shown that it works."""
        self._trouble = None

    def forget(self, prompt_id: str, *, stop: bool) -> None:
        """Have the worker forget a prompt in a while, and stop it before if need be."""
        (self._to_stop if stop else self._pending).append(prompt_id)
        self._work.set()

    def free_memory(self) -> None:
        """Ask the worker to unload models and drop cached results, without waiting."""
        self._run_errand(self._routes.free(unload_models=True, free_memory=True))

    async def stop(self, prompt_id: str) -> HistoryEntry | None:
        """Stop a prompt; goes on in the background when the caller is cancelled.

        Returns:
            See `Stopper.stop`.

        Raises:
            WorkerFaultError: It does not stop, or the worker does not answer.
        """
        task = self._stops.get(prompt_id)
        if task is None:
            task = asyncio.create_task(self._stop(prompt_id))
            self._stops[prompt_id] = task
            task.add_done_callback(lambda done: self._stopped(prompt_id, done))
        return await asyncio.shield(task)

    async def stop_quietly(self, prompt_id: str) -> bool:
        """Stop a prompt; False: it may still run, see `trouble`."""
        try:
            await self.stop(prompt_id)
        except WorkerFaultError:
            return False
        return True

    async def _stop(self, prompt_id: str) -> HistoryEntry | None:
        with self._socket.listening(prompt_id) as box:
            return await Stopper(self._routes, prompt_id, box, self._limits).stop()

    def _stopped(self, prompt_id: str, task: asyncio.Task[HistoryEntry | None]) -> None:
        self._stops.pop(prompt_id, None)
        if task.cancelled():
            return
        failure = task.exception()
        if isinstance(failure, WorkerDeadError):
            self._trouble = failure
            log.warning("comfyui_worker_dead", worker=self._worker, prompt_id=prompt_id)

    def _run_errand(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._errand(call))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _errand(self, call: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(self._limits.call_seconds):
                await call
        except (WorkerFaultError, TimeoutError):
            log.debug("comfyui_errand_failed", worker=self._worker)

    async def _sweep(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await self._work.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._work.clear()
            try:
                async with asyncio.timeout(self._limits.call_seconds):
                    await self._forget_some()
                await self._stop_some()
                pause = _FIRST_PAUSE_SECONDS
            except (WorkerFaultError, TimeoutError):
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)
            if self._pending or self._to_stop:
                self._work.set()

    async def _forget_some(self) -> None:
        batch = [self._pending[n] for n in range(min(_BATCH, len(self._pending)))]
        if batch:
            await self._routes.forget(batch)
            for _ in batch:
                self._pending.popleft()

    async def _stop_some(self) -> None:
        if self._to_stop:
            prompt_id = self._to_stop[0]
            with contextlib.suppress(WorkerDeadError):  # then only a restart of it helps
                await self.stop(prompt_id)
            self._to_stop.popleft()
            self._pending.append(prompt_id)
            self._work.set()

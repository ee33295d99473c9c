"""Ending a prompt on a worker, whatever it is doing, and knowing that it has ended.

A waiting prompt is deleted, a running one interrupted. An interrupt can be lost in the moment
between taken and started, is looked at only between nodes and steps, and is answered alike in
every case; so both are repeated until queue and history say that it is over.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from generation_service.backends.comfyui.errors import (
    WorkerDeadError,
    WorkerFaultError,
    WorkerUnreachableError,
)

if TYPE_CHECKING:
    from generation_service.backends.comfyui.answers import HistoryEntry
    from generation_service.backends.comfyui.mailbox import Mailbox
    from generation_service.backends.comfyui.prompt import RunLimits
    from generation_service.backends.comfyui.routes import WorkerRoutes


class Stopper:
    """Stops one prompt."""

    def __init__(
        self, routes: WorkerRoutes, prompt_id: str, box: Mailbox, limits: RunLimits
    ) -> None:
        """Build it.

        Args:
            routes: The worker.
            prompt_id: The prompt.
            box: Says when to look again.
            limits: The rhythm.
        """
        self._routes = routes
        self._prompt_id = prompt_id
        self._box = box
        self._limits = limits

    async def stop(self) -> HistoryEntry | None:
        """Stop it.

        Returns:
            How it ended, which may be well when the stop came too late; None: it was taken out
            of the queue, or no trace of it is left.

        Raises:
            WorkerDeadError: The worker answers, and it runs on.
            WorkerFaultError: The worker does not answer.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._limits.stop_seconds
        looks_without_trace = 0
        while True:
            failure: WorkerFaultError | None = None
            try:
                seen, entry = await self._stop_once()
            except WorkerFaultError as exc:
                failure, looks_without_trace = exc, 0
            else:
                if entry is not None:
                    return entry
                looks_without_trace = 0 if seen else looks_without_trace + 1
                if looks_without_trace >= self._limits.lost_looks:
                    return None
            if loop.time() >= give_up:
                raise failure or WorkerDeadError("an interrupt does not end the prompt")
            await self._pause(gone=looks_without_trace > 0)

    async def _pause(self, *, gone: bool) -> None:
        if gone:
            await asyncio.sleep(self._limits.lost_pause_seconds)
        else:
            await self._box.wait_for_end(self._limits.interrupt_seconds, or_queue_change=True)

    async def _stop_once(self) -> tuple[bool, HistoryEntry | None]:
        """Try once; say whether it is still in the queue, and how it ended if it has."""
        try:
            async with asyncio.timeout(self._limits.call_seconds):
                await self._routes.unqueue(self._prompt_id)
                await self._routes.interrupt(self._prompt_id)
                queue = await self._routes.queue()
                if self._prompt_id in queue:
                    return True, None
                return False, await self._routes.history(self._prompt_id)
        except TimeoutError as exc:
            raise WorkerUnreachableError("a stop was not answered") from exc

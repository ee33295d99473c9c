"""Waiting for a prompt's end, through lost messages, broken sockets and restarts.

Two sources, neither enough alone. The socket says at once that something happened, if it says
anything. Queue and history, read in this order, hold the truth: in this order a prompt is in one
of them until it is really gone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from generation_service.backends.comfyui.errors import (
    ComfyUIError,
    LoadTimedOutError,
    PromptLostError,
    PromptReleasedError,
    RunTimedOutError,
    WorkerBusyError,
    WorkerFaultError,
    WorkerRestartedError,
    WorkerUnreachableError,
)
from generation_service.backends.comfyui.phases import Phases
from generation_service.backends.comfyui.prompt import Waiting
from generation_service.backends.comfyui.reporting import Reporter

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from generation_service.backends.comfyui.answers import HistoryEntry
    from generation_service.backends.comfyui.mailbox import Mailbox
    from generation_service.backends.comfyui.prompt import Durations, Prompt, Report, RunLimits
    from generation_service.backends.comfyui.routes import WorkerRoutes
    from generation_service.backends.comfyui.socket import WorkerSocket

T = TypeVar("T")

_FIRST_HISTORY_PAUSE_SECONDS = 0.005
_LONGEST_HISTORY_PAUSE_SECONDS = 0.1
_BLIND_GROWTH = 1.3


class OverdueError(Exception):
    """A phase has lasted too long; the prompt is still on the worker.

    Attributes:
        error: What to report once it has been stopped.
    """

    def __init__(self, error: ComfyUIError) -> None:
        """See the class."""
        super().__init__(str(error))
        self.error = error


class _UnansweredError(Exception):
    """A look was not answered; the worker may be back soon."""


class Watch:
    """Watches one prompt on one worker."""

    def __init__(
        self,
        routes: WorkerRoutes,
        socket: WorkerSocket,
        box: Mailbox,
        prompt: Prompt,
        report: Report,
        limits: RunLimits,
    ) -> None:
        """Begin to count time; the prompt is about to be posted, or was long ago.

        Args:
            routes: The worker.
            socket: Its socket.
            box: What is heard about the prompt.
            prompt: The prompt.
            report: Told what happens.
            limits: The rhythm.
        """
        self._routes = routes
        self._socket = socket
        self._box = box
        self._prompt = prompt
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._reporter = Reporter(prompt, box, report, limits)
        self._phases = Phases(prompt.deadlines, self._reporter.meter, box, self._loop.time)
        self._posted_as = ""
        self._breaks_before = socket.break_count
        self._was_away = False
        self._released = False
        self._next_look = self._loop.time()
        self._last_look = 0.0
        self._blind_pause = limits.blind_poll_seconds
        self._looks_without_trace = 0
        self._unanswered_since: float | None = None

    @property
    def durations(self) -> Durations:
        """How long the phases lasted."""
        return self._phases.durations()

    def posted_as(self, client_id: str) -> None:
        """Say that it was posted just now, under this name; no look is needed for a while."""
        self._posted_as = client_id
        self._next_look = self._loop.time() + self._look_pause()

    def release(self) -> None:
        """Have `until_ended` let go of the prompt."""
        self._released = True
        self._box.wake()

    async def until_ended(self) -> HistoryEntry:
        """Wait for the end.

        Returns:
            The history entry, whatever it says.

        Raises:
            OverdueError: A phase takes too long.
            PromptReleasedError: `release` was called.
            PromptLostError: The worker does not know it any more.
            WorkerFaultError: The worker has been away for too long.
        """
        while True:
            if self._released:
                raise PromptReleasedError(self._prompt.prompt_id)
            try:
                entry = await self._find_end()
            except _UnansweredError:
                await self._box.wait(self._limits.blind_poll_seconds)
                entry = None
            if entry is not None:
                self._phases.note_end()
                return entry
            self._phases.note()
            self._reporter.tell_progress(self._phases)
            self._check_deadline()
            await self._box.wait(self._pause())
            if self._box.take_queue_change():
                self._look_soon()

    def _look_soon(self) -> None:
        """Look earlier than planned, though not at every stir of a worker that many use."""
        pause = self._limits.status_poll_seconds
        soon = max(self._loop.time() + pause, self._last_look + 2 * pause)
        self._next_look = min(self._next_look, soon)

    async def _find_end(self) -> HistoryEntry | None:
        if self._box.ended or self._box.terminal:
            entry = await self._read_end()
            if entry is not None:
                return entry
        if self._loop.time() >= self._next_look:
            return await self._look()
        return None

    async def _read_end(self) -> HistoryEntry | None:
        """Read the history after word of the end; the entry may come later than the word."""
        if not self._box.ended:
            await self._box.wait_for_end(self._limits.end_marker_seconds)
        give_up = self._loop.time() + self._limits.history_seconds
        pause = _FIRST_HISTORY_PAUSE_SECONDS
        while True:
            entry = await self._ask(self._routes.history(self._prompt.prompt_id))
            if entry is not None:
                return entry
            if self._loop.time() >= give_up:
                break
            await asyncio.sleep(pause)
            pause = min(_LONGEST_HISTORY_PAUSE_SECONDS, pause * 2)
        # An error that only blocked one output, or the history was cleared.
        self._box.disbelieve()
        self._next_look = self._loop.time()
        return None

    async def _look(self) -> HistoryEntry | None:
        """Look into queue and history, in this order."""
        prompt_id = self._prompt.prompt_id
        self._last_look = self._loop.time()
        queue = await self._ask(self._routes.queue())
        if prompt_id in queue:
            self._looks_without_trace = 0
            if prompt_id in queue.running:
                self._phases.note_running()
            else:
                self._reporter.tell(Waiting(queue.position(prompt_id)))
            self._next_look = self._loop.time() + self._look_pause()
            return None
        entry = await self._ask(self._routes.history(prompt_id))
        if entry is None:
            self._looks_without_trace += 1
            if self._looks_without_trace >= self._limits.lost_looks:
                raise await self._loss()
            self._next_look = self._loop.time() + self._limits.lost_pause_seconds
        return entry

    async def _loss(self) -> PromptLostError:
        """Say why it is gone, as far as that can be known."""
        broke = self._socket.break_count > self._breaks_before
        may_be_new = broke or self._was_away or not self._posted_as
        if may_be_new and await self._ask(self._routes.history_is_empty()):
            return WorkerRestartedError("its queue and history are empty after a break")
        return PromptLostError("in neither queue nor history")

    async def _ask(self, call: Coroutine[Any, Any, T]) -> T:
        """Ask the worker something, and bear it when it does not answer for a while."""
        try:
            async with asyncio.timeout(self._limits.call_seconds):
                answer = await call
        except (WorkerFaultError, TimeoutError) as exc:
            self._was_away = True
            now = self._loop.time()
            if self._unanswered_since is None:
                self._unanswered_since = now
            if now - self._unanswered_since >= self._limits.unreachable_seconds:
                if isinstance(exc, WorkerFaultError):
                    raise
                raise WorkerUnreachableError("it does not answer") from exc
            raise _UnansweredError from exc
        self._unanswered_since = None
        return answer

    def _look_pause(self) -> float:
        if self._socket.is_open and self._socket.client_id == self._posted_as:
            return self._limits.poll_seconds
        pause = self._blind_pause
        self._blind_pause = min(self._limits.poll_seconds, pause * _BLIND_GROWTH)
        return pause

    def _pause(self) -> float:
        now = self._loop.time()
        return max(0.0, min(self._next_look, self._phases.deadline().at) - now)

    def _check_deadline(self) -> None:
        deadline = self._phases.deadline()
        if self._loop.time() < deadline.at:
            return
        text = f"{deadline.phase} for more than {deadline.seconds:g} s"
        if deadline.phase == "waiting":
            raise OverdueError(WorkerBusyError(text))
        if deadline.phase == "loading":
            raise OverdueError(LoadTimedOutError(text))
        raise OverdueError(RunTimedOutError(text))

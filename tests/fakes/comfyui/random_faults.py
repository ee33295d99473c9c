"""All fault switches at random, from a seed: what a client has to live with at its worst."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

from tests.fakes.comfyui.switches import HttpFault, RunFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tests.fakes.comfyui.server import ComfyUIServer

SETTINGS: Sequence[tuple[str, Any]] = (
    ("history_delay_ms", 300.0),
    ("freeze_ms", 250.0),
    ("freeze_every_seconds", 0.5),
    ("stall_sockets", True),
    ("drop_messages", frozenset({"*"})),
    ("drop_messages", frozenset({"executing"})),
    ("drop_messages", frozenset({"execution_success", "execution_error"})),
    ("drop_messages", frozenset({"progress", "progress_state", "binary"})),
    ("duplicate_messages", True),
    ("unknown_messages", True),
    ("preview_method", "latent2rgb"),
    ("interrupt_lost", True),
    ("interrupt_late", True),
    ("interrupt_hits_next", True),
    ("pause", True),
    ("cache", "none"),
    ("outputs_order", "given"),
)
ROUTES = ("POST prompt", "GET queue", "GET history", "view", "interrupt", "POST history", "ws")
DEADLY = (RunFault.DIE, RunFault.EXIT, RunFault.DEAF)  # until somebody restarts the server


class RandomFaults:
    """Flips one switch after the other; the same seed gives the same sequence.

    Attributes:
        log: What was done so far, to be shown when a test fails.
    """

    def __init__(
        self,
        server: ComfyUIServer,
        seed: int,
        *,
        longest_seconds: float = 0.2,
        deadly: bool = True,
    ) -> None:
        """Make a sequence.

        Args:
            server: Whose switches are flipped.
            seed: Of the sequence.
            longest_seconds: How long a switch stays flipped at most.
            deadly: Also let the worker die and the process exit; both are restarted here after a
                while, as an operator would.
        """
        self._server = server
        self._random = random.Random(seed)
        self._longest_seconds = longest_seconds
        self._deadly = deadly
        self.log: list[str] = []

    @contextlib.asynccontextmanager
    async def flipping(self) -> AsyncIterator[RandomFaults]:
        """Flip in the background; at the end all switches are as they were."""
        task = asyncio.get_running_loop().create_task(self._flip())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self._server.next_runs.clear()
            self._server.next_answers.clear()
            await self._revive()

    async def _flip(self) -> None:
        actions: Sequence[Callable[[], Any]] = (
            self._setting,
            self._setting,
            self._setting,
            self._http,
            self._http,
            self._run,
            self._run,
            self._sockets,
            *((self._restart,) if self._deadly else ()),
        )
        while True:
            undo = await self._random.choice(actions)()
            try:
                await asyncio.sleep(self._random.uniform(0.02, self._longest_seconds))
            finally:
                if undo is not None:
                    undo()
            await self._revive()

    async def _setting(self) -> Callable[[], None]:
        name, value = self._random.choice(SETTINGS)
        old = getattr(self._server.switches, name)
        self.log.append(f"{name}={value}")
        self._server.switches.set(name, value)
        return lambda: self._server.switches.set(name, old)

    async def _http(self) -> None:
        route = self._random.choice(ROUTES)
        fault = self._random.choice(list(HttpFault))
        self.log.append(f"{route}: {fault}")
        self._server.next_answers[route].append(fault)

    async def _run(self) -> None:
        faults = [each for each in RunFault if self._deadly or each not in DEADLY]
        fault = self._random.choice(faults)
        self.log.append(f"run: {fault}")
        self._server.next_runs.append(fault)

    async def _sockets(self) -> None:
        clients = self._server.connected_clients
        if clients and self._random.random() < 0.5:
            self.log.append("deafen")
            self._server.forget_client(self._random.choice(clients))
        else:
            self.log.append("cut sockets")
            self._server.cut_sockets()

    async def _restart(self) -> None:
        self.log.append("kill")
        await self._server.kill()

    async def _revive(self) -> None:
        """Start the process again if it is gone or its worker is dead."""
        running = self._server.is_worker_alive and self._server.queue.running
        stuck = running and self._server.runs and self._server.runs[-1].outcome == "running"
        is_deaf = stuck and self._server.last_fault is RunFault.DEAF
        if not self._server.is_worker_alive or is_deaf:
            self.log.append("start")
            await self._server.start()

"""Keeping the embedded model's process alive, without ever making the event loop wait.

One task looks after the child: starts it when it is first wanted, starts it again when it dies,
waits longer each time it dies young. Requests only ask for a connection, and are told at once when
there is none to be had.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import structlog

from generation_service.text.embedded.weights import WeightsError
from generation_service.text.http_backend import make_client
from generation_service.text.interface import ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from generation_service.text.limits import ProviderLimits

log = structlog.get_logger()

CHILD_PROGRAM = Path(__file__).with_name("child.py")

OLD_SECONDS = 60.0
"""A child that lived longer died of chance, and is started again without much waiting."""

DEATH_SECONDS = 0.5
"""A process whose connections break is seen to die within this time, or it lives on."""

FIRST_PAUSE_SECONDS = 0.05
"""Pause before the first restart; four times as long after each young death."""


@dataclass(frozen=True)
class ProcessOptions:
    """How the child runs.

    Attributes:
        threads: Threads that compute.
        slots: Prompts whose prefixes are kept; at least the limit of concurrent requests.
        context_tokens: Tokens of all slots together.
        load_seconds: Longest time to load the model.
        stop_seconds: How long a child may take to end before it is killed.
        longest_pause_seconds: Longest pause before a child that dies young is started again.
        environment: Of the child; None: ours without what looks like our settings, which may hold
            keys.
        program: The program of the child.
    """

    threads: int = 2
    slots: int = 4
    context_tokens: int = 8192
    load_seconds: float = 60.0
    stop_seconds: float = 2.0
    longest_pause_seconds: float = 30.0
    environment: Mapping[str, str] | None = None
    program: Path = CHILD_PROGRAM


class ModelProcess:
    """llama.cpp in a child process, started when wanted and again when it dies."""

    def __init__(
        self,
        find_weights: Callable[[], Path],
        limits: ProviderLimits,
        options: ProcessOptions | None = None,
    ) -> None:
        """Take what is needed to start a child; nothing starts yet.

        Args:
            find_weights: Returns the model's file; may block, and raise `WeightsError`.
            limits: Of the connections to the child.
            options: How the child runs.
        """
        self._find_weights = find_weights
        self._limits = limits
        self._options = options or ProcessOptions()
        self._changed = asyncio.Condition()
        self._wanted = asyncio.Event()
        self._client: httpx.AsyncClient | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._fault = ""
        self._task: asyncio.Task[None] | None = None
        self.load_seconds = 0.0
        """How long the last start took, joining the weights included."""

    @property
    def pid(self) -> int | None:
        """Process id of the child; None while none serves."""
        return self._process.pid if self._process and self._client else None

    def open(self, *, start: bool) -> None:
        """Begin to look after the child; start it now or when it is first wanted."""
        if start:
            self._wanted.set()
        self._task = asyncio.create_task(self._look_after())

    async def connection(self) -> httpx.AsyncClient:
        """Return a way to a child that serves; waits while one is starting.

        Raises:
            ModelUnavailableError: There is none, and none is starting.
        """
        self._wanted.set()
        async with self._changed:
            await self._changed.wait_for(lambda: self._client is not None or self._fault)
            if self._client is None:
                raise ModelUnavailableError(self._fault)
            return self._client

    async def lost(self, client: httpx.AsyncClient) -> bool:
        """Look after a connection that broke.

        Returns:
            Whether the child behind it is dead, so that another connection is worth asking for.
        """
        try:
            async with asyncio.timeout(DEATH_SECONDS), self._changed:
                await self._changed.wait_for(lambda: self._client is not client)
        except TimeoutError:
            return False
        return True

    def kill(self) -> None:
        """End a child that does not answer any more; another one is started."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def close(self) -> None:
        """End the child and stop looking after it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _look_after(self) -> None:
        young_deaths = 0
        try:
            while True:
                await self._wanted.wait()
                born = time.monotonic()
                try:
                    await self._run_child()
                except (WeightsError, ModelUnavailableError, OSError) as exc:
                    log.warning("embedded_model_not_started", error=_sentence(exc))
                    await self._tell(fault=_sentence(exc))
                young_deaths = 0 if time.monotonic() - born > OLD_SECONDS else young_deaths + 1
                pause = FIRST_PAUSE_SECONDS * 4**young_deaths
                await asyncio.sleep(min(self._options.longest_pause_seconds, pause))
                await self._tell()
        finally:
            await self._tell(fault="The embedded model is shut down.")

    async def _run_child(self) -> None:
        """Start a child and stay with it until it ends."""
        started = time.monotonic()
        # Made and removed without a thread, so that no cancellation comes in between.
        with tempfile.TemporaryDirectory(prefix="stellwerk-", ignore_cleanup_errors=True) as folder:
            weights = await asyncio.to_thread(self._find_weights)
            # llama.cpp takes a host for a socket file by its ending.
            socket = Path(folder) / "model.sock"
            self._process = await self._spawn(weights, socket)
            try:
                await self._greet(self._process)
                self.load_seconds = time.monotonic() - started
                log.info("embedded_model_ready", duration_ms=round(self.load_seconds * 1000))
                await self._serve(self._process, socket)
            finally:
                await self._end(self._process)

    async def _spawn(self, weights: Path, socket: Path) -> asyncio.subprocess.Process:
        options = self._options
        config = {
            "model": str(weights),
            "socket": str(socket),
            "threads": options.threads,
            "slots": options.slots,
            "context": options.context_tokens,
        }
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(options.program),
            json.dumps(config),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment() if options.environment is None else dict(options.environment),
            start_new_session=True,  # Ctrl-C is for the service, which ends the child in order
        )

    async def _greet(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the child says that it can be asked."""
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._options.load_seconds):
                line = await process.stdout.readline()
        except TimeoutError as exc:
            raise ModelUnavailableError("The embedded model took too long to load.") from exc
        if line.strip() != b'{"ready": true}':
            raise ModelUnavailableError("The embedded model cannot be loaded.")

    async def _serve(self, process: asyncio.subprocess.Process, socket: Path) -> None:
        """Offer the connection until the child dies."""
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        async with make_client("http://embedded", self._limits, transport=transport) as client:
            await self._tell(client=client)
            code = await process.wait()
            log.warning("embedded_model_died", exit_code=code)
            await self._tell()

    async def _tell(self, client: httpx.AsyncClient | None = None, fault: str = "") -> None:
        """Let everybody who waits know how things stand."""
        async with self._changed:
            self._client = client
            self._fault = fault
            self._changed.notify_all()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Close the child's input, which ends it; kill it if that is not enough."""
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(self._options.stop_seconds):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _environment() -> dict[str, str]:
    """Our environment without what is ours to know, such as keys."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GENERATION_")}


def _sentence(exc: Exception) -> str:
    """What may be told of an error that kept a child from starting."""
    if isinstance(exc, ModelUnavailableError):
        return exc.message
    if isinstance(exc, WeightsError):
        return str(exc)
    return "The embedded model's process cannot be started."

"""The stand-in as tests hold it: start, stop, kill, restart, and what it saw."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from tests.fakes.comfyui.catalogue import DEFAULT_MODELS, load_catalogue
from tests.fakes.comfyui.file_routes import FileRoutes
from tests.fakes.comfyui.folders import Folders
from tests.fakes.comfyui.middlewares import Gate, Recorded
from tests.fakes.comfyui.prompt_queue import PromptQueue
from tests.fakes.comfyui.routes import PromptRoutes, ServerRoutes
from tests.fakes.comfyui.sockets import SocketHub
from tests.fakes.comfyui.switches import HttpFault, RunFault, Switches
from tests.fakes.comfyui.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.fakes.comfyui.run import Run

    Json = dict[str, Any]

MOST_RUNS, MOST_REQUESTS = 50_000, 10_000  # that are kept; bench runs make more

BIND_ATTEMPTS = 100
BIND_PAUSE_SECONDS = 0.02


class _Life:
    """What a process has between its start and its end."""

    def __init__(self, server: ComfyUIServer) -> None:
        switches = server.switches
        self.queue = PromptQueue(lambda: self.hub.send_status(), lambda: switches.history_cap)
        self.hub = SocketHub(
            switches, lambda: {"exec_info": {"queue_remaining": self.queue.remaining_count}}
        )
        server.folders.wipe_temp()
        self.worker = Worker(
            switches,
            self.queue,
            self.hub,
            server.folders,
            server.catalogue,
            server.next_runs,
            server.note_run,
            server.end_process,
        )
        self.gate = Gate(switches, server.next_answers, server.requests, self.hub)
        app = web.Application(middlewares=[self.gate.middleware()], client_max_size=1 << 40)
        for prefix in ("", "/api"):
            PromptRoutes(
                switches, self.queue, self.worker, server.folders, server.catalogue
            ).add_to(app.router, prefix)
            ServerRoutes(
                switches, self.hub, server.folders, server.catalogue, server.models
            ).add_to(app.router, prefix)
            FileRoutes(server.folders).add_to(app.router, prefix)
        server.add_control(app)
        self.runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None
        )
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self, host: str, port: int, on_crash: Callable[[], None]) -> int:
        """Listen and work; return the port."""
        await self.runner.setup()
        await self._listen(host, port)
        loop = asyncio.get_running_loop()
        self.tasks = [loop.create_task(self.worker.run()), loop.create_task(self.hub.publish())]

        def crash(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                on_crash()

        def report(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                loop.call_exception_handler(
                    {"message": "the stand-in has a bug", "exception": task.exception()}
                )

        self.tasks[0].add_done_callback(report)
        self.tasks[1].add_done_callback(crash)
        actual: int = self.runner.addresses[0][1]
        return actual

    async def _listen(self, host: str, port: int) -> None:
        """Listen, after a while if need be.

        Whoever keeps dialling a port that nobody listens at may get a connection to itself, which
        takes the port until they notice.
        """
        for _ in range(BIND_ATTEMPTS):
            with contextlib.suppress(OSError):
                await web.TCPSite(self.runner, host, port, reuse_address=True).start()
                return
            await asyncio.sleep(BIND_PAUSE_SECONDS)
        await web.TCPSite(self.runner, host, port, reuse_address=True).start()

    async def end(self) -> None:
        """End as a killed process does: nothing is answered, nobody is told."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.hub.cut()
        for transport in list(self.gate.transports):
            transport.abort()
        await self.runner.cleanup()


class ComfyUIServer:
    """A stand-in ComfyUI: `async with ComfyUIServer(step_seconds=0.1) as comfy: comfy.url …`.

    Attributes:
        switches: What it does; may be changed at any time.
        next_runs: One fault for each of the next runs; None: a good one.
        next_answers: The same for HTTP calls, by "prompt" or "POST prompt".
        requests: The HTTP calls it got, over all restarts.
        runs: What it really ran, over all restarts.
        url: Where it listens.
        exits: How often its process ended by itself.
    """

    def __init__(
        self,
        switches: Switches | None = None,
        *,
        base: Path | None = None,
        port: int = 0,
        models: Mapping[str, Sequence[str]] | None = None,
        classes: Mapping[str, Json] | None = None,
        **values: Any,
    ) -> None:
        """Make a server; it listens inside `async with`.

        Args:
            switches: Taken as they are.
            base: Folder for input, output and temp; None: a temporary one.
            port: 0: any free one.
            models: File names by folder; None: two checkpoints.
            classes: Instead of the recorded `/object_info`.
            values: Switches by name.
        """
        self.switches = switches or Switches()
        for name, value in values.items():
            self.switches.set(name, value)
        self.models = models if models is not None else DEFAULT_MODELS
        self.catalogue = dict(classes) if classes is not None else load_catalogue(self.models)
        self.next_runs: deque[RunFault | None] = deque()
        self.next_answers: dict[str, deque[HttpFault | None]] = defaultdict(deque)
        self.requests: deque[Recorded] = deque(maxlen=MOST_REQUESTS)
        self.runs: deque[Run] = deque(maxlen=MOST_RUNS)
        self.exits = 0
        self._temporary = contextlib.ExitStack()
        if base is None:
            base = Path(self._temporary.enter_context(tempfile.TemporaryDirectory()))
        self.folders = Folders(base)
        self.host, self.port = "127.0.0.1", port
        self._life: _Life | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens; the port stays over restarts."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        self._temporary.close()

    async def start(self) -> None:
        """Start a fresh process: no queue, no history, no temp files, number 0."""
        await self.kill()
        self._life = _Life(self)
        self.port = await self._life.start(self.host, self.port, self.end_process)

    async def kill(self) -> None:
        """End the process at once, if there is one."""
        if self._ending is not None:
            await self._ending
        life, self._life = self._life, None
        if life is not None:
            await life.end()

    async def restart(self) -> None:
        """Kill it and start it on the same port."""
        await self.start()

    def end_process(self) -> None:
        """End the process from inside, as a fault does."""
        self.exits += 1
        life, self._life = self._life, None
        if life is not None:
            self._ending = asyncio.get_running_loop().create_task(life.end())

    def add_control(self, app: web.Application) -> None:
        """Add routes of a subclass."""

    def note_run(self, run: Run) -> None:
        """Note that a run starts; called again when it ends."""
        if not self.runs or self.runs[-1] is not run:
            self.runs.append(run)

    @property
    def is_running(self) -> bool:
        """Whether the process is there, or not gone completely yet."""
        return self._life is not None or (self._ending is not None and not self._ending.done())

    @property
    def is_worker_alive(self) -> bool:
        """Whether its worker thread is there too."""
        return self._life is not None and self._life.worker.is_alive

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still, as when it collects garbage."""
        now = asyncio.get_running_loop().time()
        return self._life is not None and self._life.hub.frozen_until > now

    @property
    def last_fault(self) -> RunFault | None:
        """What was to go wrong in the latest run of this process."""
        return self._life.worker.last_fault if self._life is not None else None

    @property
    def queue(self) -> PromptQueue:
        """The queue and the history of the process."""
        assert self._life is not None, "the process is gone"
        return self._life.queue

    @property
    def connected_clients(self) -> list[str]:
        """The client ids that messages can reach."""
        return list(self._life.hub.by_id) if self._life is not None else []

    def run_count(self, prompt_id: str) -> int:
        """Return how often a prompt ran."""
        return sum(run.prompt_id == prompt_id for run in self.runs)

    def forget_client(self, client_id: str) -> None:
        """Make the socket of a client deaf, as after a takeover whose first socket closed."""
        if self._life is not None:
            self._life.hub.by_id.pop(client_id, None)

    def forget_prompt(self, prompt_id: str) -> None:
        """Lose a pending prompt or a history entry, as when others delete it."""
        self.queue.delete(prompt_id)
        self.queue.history.pop(prompt_id, None)

    def cut_sockets(self) -> None:
        """Cut all WebSockets; the process goes on."""
        if self._life is not None:
            self._life.hub.cut()

    def read(self, file: Mapping[str, str]) -> bytes:
        """Return a file as history names it."""
        path = self.folders.base / file["type"] / file["subfolder"] / file["filename"]
        return path.read_bytes()

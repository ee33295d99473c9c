"""The stand-in as a process of its own, for tests that kill it as a machine does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp import web

from tests.fakes.comfyui.run import Run
from tests.fakes.comfyui.server import ComfyUIServer
from tests.fakes.comfyui.switches import HttpFault, RunFault

if TYPE_CHECKING:
    from collections.abc import Sequence

READY_SECONDS = 30.0
STOP_SECONDS = 10.0
ROOT = Path(__file__).parents[3]


class ControlledServer(ComfyUIServer):
    """A server that can be asked and changed over HTTP, and keeps its runs in a file.

    The routes lie below /stand-in, where the real server has nothing.
    """

    def add_control(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post("/stand-in/switches", self._set)
        app.router.add_post("/stand-in/next", self._next)

    async def _set(self, request: web.Request) -> web.Response:
        for name, value in (await request.json()).items():
            self.switches.set(name, value)
        return web.Response()

    async def _next(self, request: web.Request) -> web.Response:
        content = await request.json()
        self.next_runs.extend(RunFault(fault) for fault in content.get("runs", ()))
        for route, faults in content.get("answers", {}).items():
            self.next_answers[route].extend(HttpFault(fault) for fault in faults)
        return web.Response()

    def note_run(self, run: Run) -> None:
        """Write a line when a run starts and when it ends, so that a kill loses nothing."""
        super().note_run(run)
        with (self.folders.base / "runs.jsonl").open("a") as file:
            file.write(json.dumps(asdict(run)) + "\n")

    def end_process(self) -> None:
        """Really end the process."""
        os._exit(1)


class ComfyUIProcess:
    """`async with ComfyUIProcess(["step_seconds=0.1"]) as comfy: … comfy.kill()`.

    Attributes:
        url: Where it listens; stays over restarts.
    """

    def __init__(self, assignments: Sequence[str] = (), *, port: int = 0) -> None:
        """Make a process; it starts inside `async with`.

        Args:
            assignments: Switches as on the command line, "name=value".
            port: 0: any free one.
        """
        self._assignments = assignments
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        self._stack = contextlib.ExitStack()
        self.base = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.url = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        self._stack.close()

    async def start(self) -> None:
        """Start it, on the same port as before, and wait until it listens."""
        command = [sys.executable, "-m", "tests.fakes.comfyui", "--port", str(self._port)]
        command += ["--base", str(self.base)]
        for assignment in self._assignments:
            command += ["--switch", assignment]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), READY_SECONDS)
        self.url = json.loads(line)["url"]
        self._port = int(self.url.rpartition(":")[2])

    async def kill(self, signal_number: int = signal.SIGKILL) -> None:
        """Kill it and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal_number)
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.read(), STOP_SECONDS)
        await asyncio.wait_for(process.wait(), STOP_SECONDS)

    async def restart(self) -> None:
        """Kill it and start it again."""
        await self.kill()
        await self.start()

    async def set(self, **switches: Any) -> None:
        """Change switches while it runs."""
        await self._post("switches", switches)

    async def next(
        self, *, runs: Sequence[str] = (), answers: dict[str, Sequence[str]] | None = None
    ) -> None:
        """Let something go wrong once; see `RunFault` and `HttpFault`."""
        await self._post("next", {"runs": list(runs), "answers": answers or {}})

    async def _post(self, name: str, content: Any) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/stand-in/{name}", json=content) as response,
        ):
            response.raise_for_status()

    @property
    def runs(self) -> list[Run]:
        """What it really ran, over all restarts."""
        path = self.base / "runs.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        runs: list[Run] = []
        for line in lines:
            run = Run(**json.loads(line))
            if runs and runs[-1].outcome == "running" and _is_same(runs[-1], run):
                runs[-1] = run
            else:
                runs.append(run)
        return runs

    def run_count(self, prompt_id: str) -> int:
        """Return how often a prompt ran."""
        return sum(run.prompt_id == prompt_id for run in self.runs)


def _is_same(started: Run, ended: Run) -> bool:
    is_end = ended.outcome != "running"
    return is_end and (started.prompt_id, started.number) == (ended.prompt_id, ended.number)

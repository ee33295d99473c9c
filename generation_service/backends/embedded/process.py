"""Keeps the renderers' child processes: started fresh, watched, replaced when they die."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING

import structlog

from generation_service.backends.embedded.framing import DONE, LENGTH
from generation_service.backends.interface import AttemptFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

CHILD_MODULE = "generation_service.backends.embedded.child"
_MAX_ANSWER_BYTES = 64 * 1024 * 1024


class RenderProcess:
    """One child process; renders one order at a time."""

    def __init__(self, *, limit_seconds: float) -> None:
        """Describe the process; it starts with its first order.

        Args:
            limit_seconds: A render that takes longer is killed.
        """
        self._limit_seconds = limit_seconds
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the child unless it runs."""
        if self._child is not None and self._child.returncode is None:
            return
        await self.stop()
        # Not multiprocessing: that would import the whole service into the child again.
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            CHILD_MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        log.debug("renderer_started", pid=self._child.pid)

    async def render(self, order: Mapping[str, object]) -> bytes:
        """Have one work rendered.

        Args:
            order: See `works.make_work`.

        Returns:
            The file.

        Raises:
            AttemptFailedError: RENDERER_FAILED when the child crashed or the renderer raised,
                RENDERER_TIMEOUT when it took too long.
        """
        try:
            async with asyncio.timeout(self._limit_seconds):
                await self.start()
                answer = await self._exchange(json.dumps(order).encode())
        except TimeoutError as exc:
            await self.stop()
            raise AttemptFailedError(
                "RENDERER_TIMEOUT",
                f"The renderer took longer than {self._limit_seconds:g} s.",
                worth_retrying=False,
            ) from exc
        except (OSError, asyncio.IncompleteReadError) as exc:
            code = await self.stop()
            log.warning("renderer_crashed", exit_code=code)
            raise AttemptFailedError(
                "RENDERER_FAILED", "The renderer crashed.", worth_retrying=True
            ) from exc
        except asyncio.CancelledError:
            await self.stop()
            raise
        if not answer.startswith(DONE):
            log.error("render_failed", exception=answer[1:].decode(errors="replace"))
            raise AttemptFailedError(
                "RENDERER_FAILED", "The renderer could not make this.", worth_retrying=False
            )
        return answer[1:]

    async def stop(self) -> int | None:
        """End the child; returns its exit code, None if there was none."""
        child, self._child = self._child, None
        if child is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        if child.stdin is not None:
            child.stdin.close()
        return await child.wait()

    async def _exchange(self, order: bytes) -> bytes:
        child = self._child
        if child is None or child.stdin is None or child.stdout is None:
            raise BrokenPipeError("the child is gone")
        child.stdin.write(LENGTH.pack(len(order)) + order)
        await child.stdin.drain()
        (length,) = LENGTH.unpack(await child.stdout.readexactly(LENGTH.size))
        if not 0 < length <= _MAX_ANSWER_BYTES:
            raise BrokenPipeError("the child answered out of turn")
        return await child.stdout.readexactly(length)


class RenderPool:
    """A fixed number of child processes; an order waits until one is free."""

    def __init__(self, processes: int, *, limit_seconds: float) -> None:
        """Describe the pool.

        Args:
            processes: How many children.
            limit_seconds: See `RenderProcess`.
        """
        self._all = [RenderProcess(limit_seconds=limit_seconds) for _ in range(processes)]
        self._idle = asyncio.Queue[RenderProcess](maxsize=processes)
        for process in self._all:
            self._idle.put_nowait(process)

    async def start(self) -> None:
        """Start one child ahead of its first order; the others start when they are needed."""
        await self._all[0].start()

    async def render(self, order: Mapping[str, object]) -> bytes:
        """Render on a free child; see `RenderProcess.render`."""
        process = await self._idle.get()
        try:
            return await process.render(order)
        finally:
            self._idle.put_nowait(process)

    async def close(self) -> None:
        """End all children."""
        for process in self._all:
            await process.stop()

"""One service as a child process: started, watched, stopped.

Kept apart from the supervisor's decisions (what to restart, in which order to stop), so that each
reads on its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stellwerk_cli.services import ServiceSpec

MAX_LOG_BYTES = 20_000_000
"""A log that is longer at a start is put aside as `.1`, so that logs cannot fill a disk."""

_LAUNCHER = Path(__file__).with_name("launch.py")
_TAIL_BYTES = 16_384


class Child:
    """A running service process. Make it with `Child.start`."""

    def __init__(self, spec: ServiceSpec, process: asyncio.subprocess.Process) -> None:
        """Take over a process that was started for `spec`."""
        self.spec = spec
        self._process = process

    @classmethod
    async def start(cls, spec: ServiceSpec) -> Child:
        """Start the service.

        Raises:
            OSError: The log cannot be written or the program cannot be started.
        """
        spec.log_path.parent.mkdir(parents=True, exist_ok=True)
        _put_long_log_aside(spec.log_path)
        with spec.log_path.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                # -S -E: the launcher needs no packages, and starts in a third of the time.
                *(sys.executable, "-S", "-E", str(_LAUNCHER), str(os.getpid())),
                *spec.command,
                env=dict(spec.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches the supervisor alone, which stops the services in order.
                start_new_session=True,
            )
        return cls(spec, process)

    @property
    def pid(self) -> int:
        """The process id, also after its end."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended: a code, minus the signal's number, or None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for its end and return how it ended, as `exit_code`."""
        return await self._process.wait()

    async def stop(self, *, at_once: bool = False) -> None:
        """Let it drain, and kill it when it takes longer than its grace time.

        Args:
            at_once: Do not let it drain.
        """
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)
        try:
            async with asyncio.timeout(self.spec.stop_seconds):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def describe_end(exit_code: int) -> str:
    """Say in words how a process ended."""
    if exit_code >= 0:
        return f"ended with code {exit_code}"
    try:
        return f"was ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was ended by signal {-exit_code}"


def last_plain_lines(log_path: Path, most: int = 40) -> list[str]:
    """Return the last lines of a log, oldest first: what a service said before it gave up.

    JSON lines are its ordinary log and are left out where anything else was said.

    Args:
        log_path: The log.
        most: How many lines.
    """
    try:
        with log_path.open("rb") as log:
            log.seek(max(0, log_path.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    plain = [line for line in lines if line.strip() and not line.startswith("{")]
    return (plain or lines)[-most:]


def _put_long_log_aside(path: Path) -> None:
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))

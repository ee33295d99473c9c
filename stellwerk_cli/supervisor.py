"""Keep the services of one machine running.

A classroom box has nobody who restarts a service, so `up` does it: it starts the services as
processes, notices their end, starts them again with a growing pause, and stops them in an order in
which nobody loses a neighbour it still needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stellwerk_cli.child import Child, describe_end, last_plain_lines
from stellwerk_cli.readiness import wait_until_serving
from stellwerk_cli.runfile import write_run_file
from stellwerk_cli.services import STOP_ORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from stellwerk_cli.services import ServiceSpec

START_SECONDS = 120.0
"""The first start reads and hashes model weights, from a slow disk perhaps."""
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
SETTLED_SECONDS = 60.0
"""A service that ran so long is healthy again: its next end counts as the first."""


class StartError(Exception):
    """A service did not come up; the text says which, and what it said."""


@dataclass
class Backoff:
    """Pauses before restarts: short at first, doubling, forgotten after a long healthy run."""

    pause_seconds: float = 0.0

    def after_run_of(self, seconds: float) -> float:
        """Return the pause before the next start, in seconds.

        Args:
            seconds: How long the service ran.
        """
        if self.pause_seconds == 0.0 or seconds >= SETTLED_SECONDS:
            self.pause_seconds = FIRST_PAUSE_SECONDS
        else:
            self.pause_seconds = min(2 * self.pause_seconds, LONGEST_PAUSE_SECONDS)
        return self.pause_seconds


class Supervisor:
    """Starts, restarts and stops the services. Use it within one event loop.

    `report(service, words)` is called with every change, for the console.
    """

    def __init__(
        self,
        specs: Sequence[ServiceSpec],
        data: Path,
        *,
        restart: bool,
        report: Callable[[ServiceSpec, str], None],
        start_seconds: float = START_SECONDS,
    ) -> None:
        """Make a supervisor that has started nothing yet.

        Args:
            specs: The services.
            data: The data folder, which gets `run.json`.
            restart: Start a service again when it ends.
            report: Called with a service and a few words on every change.
            start_seconds: How long all of them may take to serve.
        """
        self._specs = specs
        self._data = data
        self._restart = restart
        self._report = report
        self._start_seconds = start_seconds
        self._children: dict[str, Child] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._starting: set[asyncio.Task[Child]] = set()

    async def start(self) -> None:
        """Start all services and wait until all of them serve.

        Raises:
            StartError: One ended, or they took too long. Call `stop` also then.
            OSError: A log or `run.json` cannot be written.
        """
        for spec in self._specs:
            self._children[spec.name] = await Child.start(spec)
            self._report(spec, f"starting, pid {self._children[spec.name].pid}")
        self._write_run_file()
        try:
            async with asyncio.TaskGroup() as group:
                for child in self._children.values():
                    group.create_task(self._await_first_start(child))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None  # one is enough to say what to do
        self._keepers = [asyncio.create_task(self._keep(spec)) for spec in self._specs]

    async def stop(self, *, hurry: asyncio.Event | None = None) -> None:
        """Stop all services, each after those that need it.

        Args:
            hurry: Once set, whatever still runs is killed.
        """
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, *self._starting, return_exceptions=True)
        for names in STOP_ORDER:
            running = [
                child
                for name in names
                if (child := self._children.get(name)) and child.exit_code is None
            ]
            await asyncio.gather(*(self._stop_child(child, hurry) for child in running))

    async def _await_first_start(self, child: Child) -> None:
        if await self._serves_before_it_ends(child):
            self._report(child.spec, "serving")
            return
        what = (
            f"did not serve within {self._start_seconds:.0f} s"
            if child.exit_code is None
            else describe_end(child.exit_code)
        )
        said = "".join(f"\n  {line}" for line in last_plain_lines(child.spec.log_path))
        raise StartError(
            f"the service {child.spec.name} {what}; its log is {child.spec.log_path}{said}"
        )

    async def _keep(self, spec: ServiceSpec) -> None:
        """Start a service again whenever it ends, until cancelled."""
        backoff = Backoff()
        while True:
            started = time.monotonic()
            exit_code = await self._children[spec.name].wait()
            words = describe_end(exit_code)
            if not self._restart:
                self._report(spec, f"{words}; it stays down (--no-restart)")
                return
            pause = backoff.after_run_of(time.monotonic() - started)
            self._report(spec, f"{words}; starting again in {pause:.1f} s")
            await asyncio.sleep(pause)
            await self._start_again(spec)

    async def _start_again(self, spec: ServiceSpec) -> None:
        starting = asyncio.create_task(self._replace_child(spec))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        try:
            # Shielded: whoever stops us must find the new process, or it would outlive us.
            child = await asyncio.shield(starting)
        except OSError as exc:
            self._report(spec, f"could not be started: {exc.strerror}")
            return
        self._report(spec, f"starting, pid {child.pid}")
        if await self._serves_before_it_ends(child):
            self._report(spec, "serving again")

    async def _replace_child(self, spec: ServiceSpec) -> Child:
        child = self._children[spec.name] = await Child.start(spec)
        self._write_run_file()
        return child

    async def _serves_before_it_ends(self, child: Child) -> bool:
        serves = asyncio.create_task(
            wait_until_serving(child.spec.address, self._start_seconds, http=child.spec.http)
        )
        ends = asyncio.create_task(child.wait())
        try:
            await asyncio.wait((serves, ends), return_when=asyncio.FIRST_COMPLETED)
            # An answer may come from somebody else who holds the port: the child must live.
            return serves.done() and serves.result() and child.exit_code is None
        finally:
            for task in (serves, ends):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _stop_child(self, child: Child, hurry: asyncio.Event | None) -> None:
        stopping = asyncio.create_task(child.stop())
        hurrying = asyncio.create_task((hurry or asyncio.Event()).wait())
        await asyncio.wait((stopping, hurrying), return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            await child.stop(at_once=True)
        hurrying.cancel()
        await stopping
        self._report(child.spec, "stopped")

    def _write_run_file(self) -> None:
        write_run_file(
            self._data,
            {name: (child.pid, child.spec.address) for name, child in self._children.items()},
        )

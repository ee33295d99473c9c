"""Files in force: taken up anew when they change, and never given up for a faulty change.

A teacher edits a file while a class works. The change must hold without a restart, and a typo must
leave everybody with what was there before, told in the log and in the health of the service.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from pathlib import Path

    Changed = Callable[[bool], Awaitable[None]]
    State = dict[Path, tuple[int, int]]

T = TypeVar("T")

log = structlog.get_logger()


class Reloading(Generic[T]):
    """Holds what was read last without a fault.

    Attributes:
        value: What is in force.
        fault: What is wrong with the files as they are now; None: they are in force.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], T],
        folders: Iterable[Path],
        faulty: type[Exception],
    ) -> None:
        """Read the files for the first time. Blocks.

        Args:
            name: What is held, for logs, such as `policy`.
            load: Reads and checks all of it; blocks.
            folders: Where the files are; a folder that is missing may come later.
            faulty: What `load` raises where the files are at fault.

        Raises:
            Exception: `faulty`: there is nothing to begin with.
        """
        self._name = name
        self._load = load
        self._folders = tuple(folders)
        self._faulty = faulty
        self._seen = self._state()
        self.value = load()
        self.fault: Exception | None = None

    @asynccontextmanager
    async def watching(self, every_seconds: float, changed: Changed) -> AsyncIterator[None]:
        """Look for changes as long as the context lasts.

        Args:
            every_seconds: Time between two looks.
            changed: Told whether the files are in order: at once, and whenever they have changed.
        """
        await changed(True)
        task = asyncio.create_task(self._watch(every_seconds, changed))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self, every_seconds: float, changed: Changed) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            state = await asyncio.to_thread(self._state)
            if state != self._seen:
                self._seen = state
                await self._take_up()
                await changed(self.fault is None)

    async def _take_up(self) -> None:
        try:
            self.value = await asyncio.to_thread(self._load)
        except self._faulty as exc:
            self.fault = exc
            log.error("change_refused", what=self._name, fault=str(exc)[:4000])
            return
        self.fault = None
        log.info("change_taken_up", what=self._name)

    def _state(self) -> State:
        """What tells a changed file: when it was written, and its size."""
        found: State = {}
        for folder in self._folders:
            for path in sorted(folder.rglob("*")):
                try:
                    status = path.stat()
                except OSError:  # just deleted, or a link to nowhere
                    continue
                found[path] = (status.st_mtime_ns, status.st_size)
        return found

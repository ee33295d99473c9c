"""Progress on a person's screen; a log or a script gets none."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stellwerk.tracker.v1 import export_service_pb2 as pb


class Bar:
    """A progress bar of a transfer."""

    def __init__(self, progress: Progress, task: TaskID, what: str) -> None:
        """Move `task` of `progress`."""
        self._progress = progress
        self._task = task
        self._what = what
        self._done = 0
        self.total = 0

    def arrived(self, chunk: pb.ExportExecutionsResponse) -> None:
        """A chunk of an export is written."""
        self._done += len(chunk.data)
        told = f"{chunk.record_count} records" if chunk.record_count else self._what
        self._progress.update(
            self._task, completed=self._done, total=chunk.size_bytes or None, description=told
        )

    def sent(self, size_bytes: int) -> None:
        """So much of a file is sent."""
        told = "storing" if size_bytes == self.total else self._what
        self._progress.update(self._task, completed=size_bytes, total=self.total, description=told)


@contextmanager
def transfer_bar(what: str) -> Iterator[Bar]:
    """Draw a bar for a transfer.

    Args:
        what: What is going on, such as "exporting".
    """
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield Bar(progress, progress.add_task(what, total=None), what)


@contextmanager
def counter(what: str) -> Iterator[Callable[[int], None]]:
    """Draw a number that grows; yields what sets it.

    Args:
        what: What is counted, such as "records verified".
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:.0f} {task.description}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count: progress.update(task, completed=count)

"""Follow one execution to its end: show it, save its outputs, survive a lost connection.

`run`, `watch` and `demo` do the same once the execution exists, so they share this.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from servicekit.errors import Code, RemoteError
from stellwerk.tracker.v1 import execution_pb2 as record_pb2
from stellwerk_cli.exits import Exit
from stellwerk_cli.outputs import MARKED_BESIDE, mark_path, output_paths
from stellwerk_client.errors import DownloadBrokenError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stellwerk.common.v1.types_pb2 import MediaRef
    from stellwerk.orchestrator.v1.event_pb2 import Execution, ExecutionEvent, Output
    from stellwerk_cli.printers import Printer

BACK_SECONDS = 20.0
"""How long a lost server may take to answer again before the run counts as interrupted."""
_RETRY_SECONDS = 0.5

_EXITS = {
    record_pb2.EXECUTION_STATE_COMPLETED: Exit.OK,
    record_pb2.EXECUTION_STATE_BLOCKED: Exit.BLOCKED,
    record_pb2.EXECUTION_STATE_FAILED: Exit.FAILED,
    record_pb2.EXECUTION_STATE_CANCELLED: Exit.CANCELLED,
    record_pb2.EXECUTION_STATE_INTERRUPTED: Exit.INTERRUPTED,
}
_LOST_CODES = frozenset({Code.UNAVAILABLE, Code.CANCELLED, Code.UNKNOWN, Code.INTERNAL})


class Server(Protocol):
    """What following needs of a server."""

    def watch(
        self, execution_id: str, *, after_epoch: int = 0, after_sequence: int = 0
    ) -> AsyncIterator[ExecutionEvent]:
        """Stream what happened after a token, then what happens."""

    async def get_execution(self, execution_id: str) -> Execution:
        """Return where an execution stands."""

    async def save_media(self, execution_id: str, item_id: str, to: Path) -> object:
        """Save the file of an item, whole or not at all."""

    async def save_mark(self, execution_id: str, item_id: str, to: Path) -> bool:
        """Save the mark beside the file of an item, if it has one."""


@dataclass
class Following:
    """What is known of the execution that is followed.

    Attributes:
        execution_id: Its id; empty until the server named it.
        epoch: With `sequence_number` the token of the last item seen.
        sequence_number: See `epoch`.
        state: Its last known state.
        saved: Files that were written.
    """

    execution_id: str
    epoch: int
    sequence_number: int
    state: record_pb2.ExecutionState.ValueType
    saved: list[Path]

    @classmethod
    def of(cls, execution_id: str = "") -> Following:
        """Begin to follow; the id may become known later."""
        return cls(execution_id, 0, 0, record_pb2.EXECUTION_STATE_UNSPECIFIED, [])

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in _EXITS

    @property
    def exit(self) -> Exit:
        """The exit code; INTERRUPTED while there is no end."""
        return _EXITS.get(self.state, Exit.INTERRUPTED)


class Follower:
    """Takes the events of one execution. Make a new one for each."""

    def __init__(
        self,
        server: Server,
        printer: Printer,
        out: Path | None,
        *,
        back_seconds: float = BACK_SECONDS,
    ) -> None:
        """Follow an execution on `server`.

        Args:
            server: Where it runs.
            printer: Who is told.
            out: Folder for outputs; None: they are not saved.
            back_seconds: How long a lost server may take to answer again.
        """
        self._server = server
        self._printer = printer
        self._out = out
        self._back_seconds = back_seconds

    async def follow(
        self, following: Following, events: AsyncIterator[ExecutionEvent]
    ) -> Following:
        """Show events until the execution ends, going on after a lost connection.

        Args:
            following: What is known; kept current, so that others can cancel it by its id.
            events: The first stream of events.

        Returns:
            `following`, ended; its state is INTERRUPTED when nobody runs it any more.

        Raises:
            RemoteError: The call was refused, or failed before the execution had an id.
        """
        try:
            await self.take(following, events)
            while not following.ended:
                self._printer.note(following.execution_id, "the connection is lost; going on …")
                await self._come_back(following)
        finally:
            self._printer.close()
        return following

    async def take(self, following: Following, events: AsyncIterator[ExecutionEvent]) -> None:
        """Show one stream of events, to its end or until the connection is lost.

        Raises:
            RemoteError: As of `follow`.
        """
        try:
            async for event in events:
                if not self._seen(following, event):
                    self._note_token(following, event)
                    self._printer.event(event)
                    await self._save(following, event)
        except RemoteError as exc:
            if exc.code not in _LOST_CODES or not following.execution_id:
                raise
        if not following.execution_id:
            raise RemoteError(Code.UNKNOWN, "NO_EVENTS", "the server told nothing of the run")

    async def _come_back(self, following: Following) -> None:
        """Go on after the last token; gives the execution up when nobody answers in time."""
        try:
            async with asyncio.timeout(self._back_seconds):
                execution = await self._ask_until_answered(following.execution_id)
        except TimeoutError:
            following.state = record_pb2.EXECUTION_STATE_INTERRUPTED
            self._printer.note(
                following.execution_id,
                f"nobody answers; see later: stellwerk watch {following.execution_id}",
            )
            return
        events = self._server.watch(
            following.execution_id,
            after_epoch=following.epoch,
            after_sequence=following.sequence_number,
        )
        await self.take(following, events)
        if not following.ended and execution.state in _EXITS:
            following.state = execution.state
        if not following.ended:
            await asyncio.sleep(_RETRY_SECONDS)

    async def _ask_until_answered(self, execution_id: str) -> Execution:
        while True:
            try:
                return await self._server.get_execution(execution_id)
            except RemoteError as exc:
                # NOT_FOUND: its record may still wait in the spool of the one that died.
                if exc.code not in _LOST_CODES | {Code.NOT_FOUND}:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    @staticmethod
    def _seen(following: Following, event: ExecutionEvent) -> bool:
        """Whether an item was shown before the connection was lost."""
        return event.WhichOneof("event") == "item_recorded" and (
            (event.epoch, event.sequence_number) <= (following.epoch, following.sequence_number)
        )

    @staticmethod
    def _note_token(following: Following, event: ExecutionEvent) -> None:
        following.execution_id = event.execution_id
        token = (event.epoch, event.sequence_number)
        if token > (following.epoch, following.sequence_number):
            following.epoch, following.sequence_number = token
        name = event.WhichOneof("event")
        if name == "state_changed":
            following.state = event.state_changed.state
        elif name == "snapshot":
            following.state = event.snapshot.execution.state

    async def _save(self, following: Following, event: ExecutionEvent) -> None:
        if self._out is None:
            return
        if event.WhichOneof("event") == "output_ready":
            outputs = [event.output_ready.output]
        elif event.WhichOneof("event") == "snapshot":
            outputs = list(event.snapshot.execution.outputs)
        else:
            return
        for output in outputs:
            for path, item_id, media in output_paths(self._out, following.execution_id, output):
                if path not in following.saved:
                    await self._save_file(following, output, path, item_id, media)

    async def _save_file(
        self, following: Following, output: Output, path: Path, item_id: str, media: MediaRef
    ) -> None:
        try:
            await self._server.save_media(following.execution_id, item_id, path)
            if media.mime_type in MARKED_BESIDE:
                await self._server.save_mark(following.execution_id, item_id, mark_path(path))
        except (RemoteError, DownloadBrokenError) as exc:
            # The run itself is not at fault: it goes on, and the file can be fetched later.
            fault = exc.message if isinstance(exc, RemoteError) else str(exc)
            self._printer.note(
                following.execution_id,
                f"output {output.loop_iteration} could not be fetched ({fault}); "
                f"later: stellwerk watch {following.execution_id} --out {self._out}",
            )
            return
        following.saved.append(path)
        self._printer.saved(following.execution_id, output, path)

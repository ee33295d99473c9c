"""Where the reader of a socket puts what it heard about one prompt.

A place for the newest of each kind instead of a queue: the memory is bounded by construction, a
flood of previews overwrites itself, and what matters (it ended) can never be crowded out. A lost
or doubled message changes nothing, because all of this only says when to look.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from generation_service.backends.comfyui.answers import CACHED, ERROR, TERMINAL
from generation_service.backends.comfyui.messages import (
    EXECUTING,
    PREVIEW,
    PROGRESS,
    PROGRESS_STATE,
    TEXT,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generation_service.backends.comfyui.messages import Message, Preview

MAX_BLOCKED = 16
MAX_TEXT_CHARACTERS = 500


class Mailbox:
    """What is known about one prompt from the socket.

    Attributes:
        heard_at: When something about this very prompt first came, by the loop's clock; None:
            nothing has.
        terminal: A terminal message has come; an error need not be final.
        ended: The end marker has come: the history holds the truth.
        node_id: The node that runs; empty: not known.
        cached_nodes: Nodes that are not run because their results are known.
        node_states: The newest `progress_state`, by node.
        steps: The newest `progress`: node, value, maximum.
        note: The newest text that a node sent while it ran.
        preview: The newest picture, until it is taken.
        blocked: What nodes said that blocked an output, or the error that ended it.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.heard_at: float | None = None
        self.terminal = ""
        self.ended = False
        self.node_id = ""
        self.cached_nodes: frozenset[str] = frozenset()
        self.node_states: Mapping[str, Any] = {}
        self.steps: tuple[str, float, float] | None = None
        self.note = ""
        self.preview: Preview | None = None
        self.blocked: list[Mapping[str, Any]] = []
        self._changed = asyncio.Event()
        self._queue_changed = False

    def put(self, message: Message) -> None:
        """Take a message about this prompt; never waits."""
        if self.heard_at is None:
            self.heard_at = asyncio.get_running_loop().time()
        kind, data = message.kind, message.data
        if message.ends_run:
            self.ended = True
        elif kind in TERMINAL:
            self.terminal = kind
            if kind == ERROR and len(self.blocked) < MAX_BLOCKED:
                self.blocked.append(data)
        elif kind == EXECUTING:
            self.node_id = str(data.get("node"))
        elif kind == CACHED:
            nodes = data.get("nodes")
            self.cached_nodes = frozenset(map(str, nodes if isinstance(nodes, list) else ()))
        elif kind == PROGRESS_STATE and isinstance(data.get("nodes"), dict):
            self.node_states = data["nodes"]
        elif kind == PROGRESS:
            self._put_steps(data)
        elif kind == PREVIEW:
            self.preview = message.preview
        elif kind == TEXT:
            self.note = str(data.get("text") or "")[:MAX_TEXT_CHARACTERS]
        self._changed.set()

    def _put_steps(self, data: Mapping[str, Any]) -> None:
        value, most = data.get("value"), data.get("max")
        if isinstance(value, (int, float)) and isinstance(most, (int, float)) and most > 0:
            self.steps = (str(data.get("node") or ""), float(value), float(most))

    def put_queue_change(self) -> None:
        """Take word that the worker's queue changed; nobody says how."""
        self._queue_changed = True
        self._changed.set()

    def wake(self) -> None:
        """Have whoever waits look around, such as when the socket broke."""
        self._changed.set()

    def take_queue_change(self) -> bool:
        """Whether the queue has changed since this was last asked."""
        changed, self._queue_changed = self._queue_changed, False
        return changed

    def take_preview(self) -> Preview | None:
        """The newest picture, once."""
        preview, self.preview = self.preview, None
        return preview

    def disbelieve(self) -> None:
        """Forget that it seemed to have ended; the history does not say so."""
        self.ended = False
        self.terminal = ""

    async def wait_for_end(self, seconds: float, *, or_queue_change: bool = False) -> None:
        """Wait for the end marker, for at most so long.

        Args:
            seconds: At most.
            or_queue_change: A change of the worker's queue will do as well.
        """
        until = asyncio.get_running_loop().time() + seconds
        while not (self.ended or (or_queue_change and self.take_queue_change())):
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await self.wait(left)

    async def wait(self, seconds: float) -> None:
        """Wait for news, for at most so long."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self._changed.clear()

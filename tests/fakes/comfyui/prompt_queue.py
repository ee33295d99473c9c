"""The queue of prompts and the history: what `/queue`, `/prompt` and `/history` show."""

from __future__ import annotations

import asyncio
import copy
import heapq
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = dict[str, Any]
    # number, prompt id, graph, extra data, output ids
    Item = tuple[float, str, Json, Json, list[str]]

SECRETS = ("api_key_comfy_org", "auth_token_comfy_org")


class PromptQueue:
    """A heap by (number, prompt id), the prompt that runs, and the finished ones."""

    def __init__(self, on_change: Callable[[], None], history_cap: Callable[[], int]) -> None:
        """Start empty.

        Args:
            on_change: Called whenever the number of prompts may have changed.
            history_cap: Returns the number of entries beyond which the oldest is dropped.
        """
        self._on_change = on_change
        self._history_cap = history_cap
        self._wake = asyncio.Event()
        self.pending: list[Item] = []
        self.running: Item | None = None
        self.history: dict[str, Json] = {}
        self.counter = 0
        self.free_request: Json = {}

    @property
    def remaining_count(self) -> int:
        """Pending and running prompts."""
        return len(self.pending) + (self.running is not None)

    def next_number(self, request: Json) -> float:
        """Return the number of a request; the counter moves on even if it is refused later.

        Raises:
            Exception: `number` is no number.
        """
        if "number" in request:
            return float(request["number"])
        number = -self.counter if request.get("front") else self.counter
        self.counter += 1
        return number

    def put(self, item: Item) -> None:
        """Add a prompt.

        Raises:
            TypeError: One with the same number and id waits already; it is added all the same.
        """
        heapq.heappush(self.pending, item)
        self._on_change()
        self.wake()

    def wake(self) -> None:
        """Make a waiting worker look again."""
        self._wake.set()

    async def wait(self) -> None:
        """Wait until there may be something to do."""
        await self._wake.wait()
        self._wake.clear()

    def take(self) -> Item | None:
        """Make the first pending prompt the running one, and return it."""
        if not self.pending:
            return None
        item = heapq.heappop(self.pending)
        self.running = copy.deepcopy(item)
        self._on_change()
        return item

    def finish(self, entry: Json | None) -> None:
        """Move the running prompt into the history.

        Args:
            entry: `outputs`, `status` and `meta`; None leaves no trace of the prompt.
        """
        item = self.running
        assert item is not None
        self.running = None
        if entry is not None:
            if len(self.history) > self._history_cap():
                del self.history[next(iter(self.history))]
            extra = {key: value for key, value in item[3].items() if key not in SECRETS}
            prompt = [item[0], item[1], item[2], extra, item[4]]
            self.history[item[1]] = {"prompt": prompt} | entry
        self._on_change()

    def delete(self, prompt_id: str) -> None:
        """Remove one pending prompt of this id, if there is one."""
        for index, item in enumerate(self.pending):
            if item[1] == prompt_id:
                del self.pending[index]
                heapq.heapify(self.pending)
                self._on_change()
                return

    def clear(self) -> None:
        """Remove all pending prompts."""
        self.pending.clear()
        self._on_change()

    def page(self, max_items: int | None, offset: int) -> Json:
        """Return a part of the history in run order.

        Args:
            max_items: At most so many; None: all.
            offset: Counted from the oldest; negative: the last `max_items`.
        """
        if offset < 0:
            offset = len(self.history) - max_items if max_items is not None else 0
        keys = list(self.history)[max(0, offset) :]
        if max_items == 0:  # the real loop ends before or after its first entry
            keys = []
        return {key: self.history[key] for key in keys[:max_items]}

    def free(self, request: Json) -> None:
        """Note a `/free`; the worker does it when it has time."""
        for flag in ("unload_models", "free_memory"):
            if request.get(flag):
                self.free_request[flag] = True
        self.wake()

    def take_free_request(self) -> Json:
        """Return what `/free` asked for since the last time."""
        request, self.free_request = self.free_request, {}
        return request

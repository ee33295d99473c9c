"""Following one execution: what is stored first, then what comes, without gap or repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from servicekit.errors import UnavailableError
from tracker_service.records import ExecutionState

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tracker_service.access import Audience
    from tracker_service.commits import CommitHub
    from tracker_service.items import StoredItem
    from tracker_service.store.interface import ItemsPage, Store

ITEMS_PER_READ: Final = 64
DEFAULT_WAIT_SECONDS: Final = 300.0
MAX_WAIT_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class WatchedItem:
    """An item as a watcher gets it.

    Attributes:
        stored: The item and its position.
        state: State of the execution after it.
    """

    stored: StoredItem
    state: ExecutionState


async def watch_items(
    store: Store,
    hub: CommitHub,
    execution_id: str,
    audience: Audience,
    after_position: int,
    max_wait_seconds: float,
) -> AsyncGenerator[WatchedItem, None]:
    """Follow an execution until it is complete, or nothing new came for a while.

    Args:
        store: Where the items are.
        hub: Tells about new ones.
        execution_id: The execution.
        audience: Who watches.
        after_position: Begin behind this position.
        max_wait_seconds: End after so long without a new item.

    Yields:
        The items in the order of storing.

    Raises:
        NotFoundError: EXECUTION_NOT_FOUND.
        UnavailableError: DRAINING: the service stops; go on from the last position.
    """
    position = max(0, after_position)
    with hub.watching(execution_id) as waker:
        while True:
            waker.rest()  # before reading: what is committed from here on wakes us again
            page = await store.items_after(execution_id, audience, position, ITEMS_PER_READ)
            for stored in page.items:
                position = stored.position
                yield WatchedItem(stored, _state_after(page, position))
            if len(page.items) == ITEMS_PER_READ:
                continue
            if page.complete and position >= page.last_position:
                return
            if hub.closed:
                raise _draining()
            if not page.items and not await waker.wait(max_wait_seconds):
                return


def _draining() -> UnavailableError:
    return UnavailableError("DRAINING", "The tracker stops; watch again.", retry_seconds=1.0)


def _state_after(page: ItemsPage, position: int) -> ExecutionState:
    if page.terminal_position is not None and position >= page.terminal_position:
        return page.state
    return ExecutionState.RUNNING

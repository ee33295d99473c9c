"""Following one workflow: how it is now, then whenever something of it was recorded.

Who waits is woken by what this tracker records, and looks now and then for what another replica or
the retention did.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from servicekit.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from tracker_service.export_workflow.model import Workflow
    from tracker_service.export_workflow.store import Scope, WorkflowStore

LOOK_SECONDS: Final = 2.0
"""How often it is looked for what others recorded."""


@dataclass(frozen=True, slots=True)
class News:
    """Something that was recorded of a workflow.

    Attributes:
        workflow: The workflow now.
        deliverable_ready: Number of a new deliverable; 0: it is about something else.
    """

    workflow: Workflow
    deliverable_ready: int


class WorkflowHub:
    """Wakes those who follow workflows; lives in the event loop."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.closed = False

    def tell(self, export_workflow_id: str) -> None:
        """Say that something of a workflow was recorded."""
        for event in self._waiting.get(export_workflow_id, ()):
            event.set()

    async def close(self) -> None:
        """Wake everybody for the last time: the service stops."""
        self.closed = True
        for name in self._waiting:
            self.tell(name)

    @contextlib.contextmanager
    def following(self, export_workflow_id: str) -> Iterator[asyncio.Event]:
        """Be woken by an event whenever something of a workflow was recorded here."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(export_workflow_id, set())
        waiting.add(event)
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(export_workflow_id, None)


async def watch_workflow(
    store: WorkflowStore,
    hub: WorkflowHub,
    export_workflow_id: str,
    scope: Scope,
    after_deliverable: int,
    max_wait_seconds: float,
) -> AsyncGenerator[News, None]:
    """Follow a workflow until nothing new came for a while.

    Args:
        store: Where it is.
        hub: Tells about news.
        export_workflow_id: The workflow.
        scope: Whose workflows the caller may see.
        after_deliverable: Deliverables up to this number are no news.
        max_wait_seconds: End after so long without news.

    Yields:
        The workflow as it is, then its news.

    Raises:
        NotFoundError: EXPORT_WORKFLOW_NOT_FOUND, also when it is removed meanwhile.
        UnavailableError: DRAINING: the service stops.
    """
    told: Workflow | None = None
    until = time.monotonic() + max_wait_seconds
    with hub.following(export_workflow_id) as event:
        while True:
            event.clear()  # before reading: what is recorded from here on wakes us again
            workflow = await store.workflow(export_workflow_id, scope)
            if workflow != told:
                ready = workflow.deliverable_count
                is_new = ready > after_deliverable
                after_deliverable = max(ready, after_deliverable)
                yield News(workflow, ready if is_new else 0)
                told, until = workflow, time.monotonic() + max_wait_seconds
            if hub.closed:
                raise _draining()
            if not await _woken(event, until):
                return


async def _woken(event: asyncio.Event, until: float) -> bool:
    """Wait for news, or for the time to look for them; return whether it is not too late."""
    remaining = until - time.monotonic()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(LOOK_SECONDS, max(0.0, remaining))):
            await event.wait()
    return remaining > 0


def _draining() -> UnavailableError:
    return UnavailableError("DRAINING", "The tracker stops; watch again.", retry_seconds=1.0)

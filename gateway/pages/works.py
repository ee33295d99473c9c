"""Work that takes longer than a page may: building an export, verifying thousands of records.

It runs in this process and is looked at again and again by whoever began it. A restart forgets it,
and nothing is lost but the waiting: exports and verifications change nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import grpc
import structlog

from servicekit.context import detached
from servicekit.errors import NotFoundError, ResourceExhaustedError, ServiceError, remote_error

if TYPE_CHECKING:
    from servicekit.principals import Principal

log = structlog.get_logger()

MOST = 20
"""Works at once, of all people; each holds at most a piece of a file."""
KEPT_SECONDS = 600.0
BUSY_SECONDS = 30.0


@dataclass
class Work:
    """Something that goes on.

    Attributes:
        work_id: Nobody guesses it.
        owner: Id of who began it.
        done_count: How far it is.
        total_count: Where it ends; 0: not known.
        outcome: What came out; None: not done.
        reason: Why it failed; empty: it did not.
        message: The same for people.
        back: Where to go from a failure.
    """

    work_id: str
    owner: str
    done_count: int = 0
    total_count: int = 0
    outcome: object | None = None
    reason: str = ""
    message: str = ""
    back: str = ""
    touched: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self.outcome is not None or bool(self.reason)


class Works:
    """All works of this process."""

    def __init__(self) -> None:
        """Begin without any."""
        self._works: dict[str, tuple[Work, asyncio.Task[None]]] = {}

    async def __aenter__(self) -> Self:
        """Nothing to open."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """End what still runs."""
        for work_id in list(self._works):
            await self._end(work_id)

    async def begin(
        self, owner: Principal, task: Callable[[Work], Awaitable[object]], *, back: str = ""
    ) -> Work:
        """Begin a work in the name of whoever asks.

        Raises:
            ResourceExhaustedError: WORKS_BUSY: too many go on.
        """
        await self._make_room()
        if len(self._works) >= MOST:
            raise ResourceExhaustedError(
                "WORKS_BUSY", "Too much is being prepared; try again.", retry_seconds=BUSY_SECONDS
            )
        work = Work(secrets.token_urlsafe(16), owner.id, back=back)
        with detached():
            running = asyncio.create_task(_run(work, task))
        self._works[work.work_id] = (work, running)
        return work

    def find(self, work_id: str, owner: Principal) -> Work:
        """Return a work of somebody.

        Raises:
            NotFoundError: WORK_NOT_FOUND: unknown, forgotten, or somebody else's.
        """
        work, _ = self._works.get(work_id, (None, None))
        if work is None or work.owner != owner.id:
            raise NotFoundError("WORK_NOT_FOUND", "This is no longer here; begin again.")
        work.touched = time.monotonic()
        return work

    async def _make_room(self) -> None:
        """Forget what nobody asks for any more; where that is not enough, what is over."""
        oldest = time.monotonic() - KEPT_SECONDS
        by_age = sorted((work for work, _ in self._works.values()), key=lambda each: each.touched)
        for work in by_age:
            is_full = len(self._works) >= MOST
            if work.touched < oldest or (is_full and work.is_over):
                await self._end(work.work_id)

    async def _end(self, work_id: str) -> None:
        _, running = self._works.pop(work_id)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def _run(work: Work, task: Callable[[Work], Awaitable[object]]) -> None:
    """Do the work; whatever goes wrong is told to its owner."""
    try:
        work.outcome = await task(work)
    except grpc.aio.AioRpcError as exc:
        found = remote_error(exc)
        work.reason, work.message = found.reason or "SERVICE_UNAVAILABLE", found.message
    except ServiceError as exc:
        work.reason, work.message = exc.reason, exc.message
    except Exception as exc:
        log.error("work_failed", exc_info=exc)
        work.reason, work.message = "INTERNAL", "Internal error."

"""The executions that this process runs or has just finished.

It bounds how many run at once, tells the tracker that they are alive, forgets finished ones after a
while, and at a drain lets running ones finish before it gives them back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from orchestrator.model import ExecutionState
from servicekit.errors import NotFoundError, ResourceExhaustedError, UnavailableError
from servicekit.principals import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.execution import Execution
    from servicekit.principals import Principal

log = structlog.get_logger(__name__)

RETRY_SECONDS = 2.0
INTERRUPT_SECONDS = 2.0
"""How long an interrupted execution may take to let go."""


class Executions:
    """Finds, bounds and ends executions. Belongs to one event loop."""

    def __init__(
        self,
        *,
        max_running: int,
        max_running_per_learner: int,
        max_running_per_caller: int,
        keep_finished_seconds: float,
        heartbeat_seconds: float,
    ) -> None:
        self._max_running = max_running
        self._max_running_per_learner = max_running_per_learner
        self._max_running_per_caller = max_running_per_caller
        self._keep_finished_seconds = keep_finished_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._executions: dict[str, Execution] = {}
        self._running_by_session: Counter[str] = Counter()
        self._by_key: dict[tuple[str, str], str] = {}
        self._draining = False
        self._heart: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to send signs of life."""
        self._heart = asyncio.create_task(self._beat(), name="heartbeats")

    def counts(self) -> Mapping[str, int]:
        """Return how many there are in each state that is no end; from any thread."""
        states = (each.state for each in list(self._executions.values()))
        return Counter(state.name for state in states if not state.ended)

    @property
    def draining(self) -> bool:
        """Whether this process takes no new executions."""
        return self._draining

    def require_room(self, principal: Principal) -> None:
        """Refuse when too much runs already.

        Raises:
            UnavailableError: DRAINING.
            ResourceExhaustedError: TOO_MANY_EXECUTIONS.
        """
        if self._draining:
            raise UnavailableError(
                "DRAINING", "The service is stopping; try again.", retry_seconds=RETRY_SECONDS
            )
        is_full = self._running_by_session.total() >= self._max_running
        mine = self._running_by_session[principal.session]
        if is_full or mine >= self._limit_of(principal):
            raise ResourceExhaustedError(
                "TOO_MANY_EXECUTIONS",
                "Too many runs at once; wait until one has ended.",
                retry_seconds=RETRY_SECONDS,
            )

    def _limit_of(self, principal: Principal) -> int:
        if principal.role is Role.LEARNER:
            return self._max_running_per_learner
        is_limited = principal.role in (Role.TEACHER, Role.RESEARCHER)
        return self._max_running_per_caller if is_limited else self._max_running

    def start(self, execution: Execution, idempotency_key: str = "") -> None:
        """Take an execution and begin it."""
        self._executions[execution.id] = execution
        if idempotency_key:
            self._by_key[execution.owner.id, idempotency_key] = execution.id
        session = execution.owner.session
        self._running_by_session[session] += 1
        execution.start(when_ended=lambda: self._note_end(session))

    def find(self, execution_id: str, principal: Principal) -> Execution | None:
        """Return an execution that is here and that the caller may see, else None.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND: it is here and somebody else's.
        """
        execution = self._executions.get(execution_id)
        if execution is not None and not principal.may_see(execution.owner):
            raise execution_not_found()
        return execution

    def find_by_key(self, principal: Principal, idempotency_key: str) -> Execution | None:
        """Return the execution that this caller's key was used for in this process, if any."""
        found = self._by_key.get((principal.id, idempotency_key))
        return self._executions.get(found) if found else None

    def _note_end(self, session: str) -> None:
        self._running_by_session[session] -= 1
        if not self._running_by_session[session]:
            del self._running_by_session[session]

    async def drain(self, finish_seconds: float) -> None:
        """Take no more; let running ones finish; give back those that do not.

        Args:
            finish_seconds: How long they may take.
        """
        self._draining = True
        if self._heart is not None:
            self._heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._heart
        for execution in list(self._executions.values()):
            if execution.state is ExecutionState.AWAITING_EDIT:
                execution.interrupt()  # a person is not waited for; whoever resumes it goes on
        if await self._wait_for_running(finish_seconds):
            return
        for execution in list(self._executions.values()):
            execution.interrupt()
        if not await self._wait_for_running(INTERRUPT_SECONDS):
            log.error("executions_abandoned")

    async def _wait_for_running(self, seconds: float) -> bool:
        running = [
            asyncio.ensure_future(each.wait())
            for each in self._executions.values()
            if not each.state.ended
        ]
        if not running:
            return True
        _, late = await asyncio.wait(running, timeout=seconds)
        for waiter in late:
            waiter.cancel()
        return not late

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            for execution in list(self._executions.values()):
                if not execution.state.ended:
                    execution.beat()
            self._forget()

    def _forget(self) -> None:
        before = time.monotonic() - self._keep_finished_seconds
        old = {
            each.id
            for each in self._executions.values()
            if each.ended_at is not None and each.ended_at < before
        }
        for execution_id in old:
            del self._executions[execution_id]
        self._by_key = {key: found for key, found in self._by_key.items() if found not in old}


def execution_not_found() -> NotFoundError:
    """Return the error for an execution that is unknown or somebody else's."""
    return NotFoundError("EXECUTION_NOT_FOUND", "There is no such execution, or it is not yours.")

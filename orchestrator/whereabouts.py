"""Where an execution runs: here, at another replica, or nowhere until somebody takes it up."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orchestrator.model import ExecutionState
from orchestrator.replicas import OwnerUnavailableError
from servicekit.errors import FailedPreconditionError
from servicekit.principals import current_principal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from orchestrator.execution import Execution
    from orchestrator.registry import Executions
    from orchestrator.replicas import Replica, Replicas
    from orchestrator.revival import Revival
    from servicekit.principals import Principal

LEASE_HELD: Final = "LEASE_HELD"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Finds executions, and brings back those that nobody runs."""

    executions: Executions
    replicas: Replicas
    revival: Revival

    def here(self, execution_id: str) -> Execution | None:
        """Return an execution that is here and that the caller may see, else None.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND: it is here and somebody else's.
        """
        found = self.executions.find(execution_id, current_principal())
        # What was given back may run elsewhere by now.
        return None if found and found.state is ExecutionState.INTERRUPTED else found

    async def elsewhere(self, execution_id: str, *, passed_on: bool) -> Replica | None:
        """Return the replica that runs an execution which is not here; None: none answers.

        Args:
            execution_id: The execution.
            passed_on: Another replica sent the call here; then it goes no further.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND.
            UnavailableError: TRACKER_UNAVAILABLE.
        """
        return None if passed_on else await self.replicas.owner_of(execution_id)

    async def for_resuming(self, execution_id: str, *, passed_on: bool) -> Execution | Replica:
        """Return where an execution runs, after taking it up if nobody runs it.

        Raises:
            ServiceError: As of `Revival.resume`.
        """
        return await self._runner(execution_id, self.revival.resume, passed_on=passed_on)

    async def for_step(self, execution_id: str, *, passed_on: bool) -> Execution | Replica:
        """Return where an execution waits for its person, after taking it up if nobody runs it.

        Raises:
            OwnerUnavailableError: Its owner is dead, and its lease is not over.
            ServiceError: As of `Revival.resume_for_step`.
        """
        with _dead_owners():
            revive = self.revival.resume_for_step
            return await self._runner(execution_id, revive, passed_on=passed_on)

    async def for_cancelling(self, execution_id: str, *, passed_on: bool) -> Execution | Replica:
        """Return where an execution can be cancelled; one that nobody runs is taken up for it.

        Raises:
            OwnerUnavailableError: Its owner is dead, and its lease is not over.
            ServiceError: As of `Revival.resume`.
        """
        with _dead_owners():
            return await self.for_resuming(execution_id, passed_on=passed_on)

    async def _runner(
        self,
        execution_id: str,
        revive: Callable[[str, Principal], Awaitable[Execution]],
        *,
        passed_on: bool,
    ) -> Execution | Replica:
        here = self.here(execution_id)
        if here is not None and not here.state.ended:
            return here
        for is_last in (False, True):
            owner = await self.elsewhere(execution_id, passed_on=passed_on)
            if owner is not None:
                return owner
            try:
                return await revive(execution_id, current_principal())
            except FailedPreconditionError as exc:
                # Another replica may have been quicker: then it is the owner now.
                if exc.reason != LEASE_HELD or is_last:
                    raise
        raise AssertionError("the second time it returns or raises")


@contextmanager
def _dead_owners() -> Iterator[None]:
    """Say of an execution whose lease outlives its owner that it is a matter of time."""
    try:
        yield
    except FailedPreconditionError as exc:
        if exc.reason == LEASE_HELD:
            raise OwnerUnavailableError from exc
        raise

"""What a queue tells and lets people say about its workers; the same for every kind of queue."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from generation_service.queue.drivers import WorkerFacts


class WorkerState(StrEnum):
    """How a worker is."""

    STARTING = "STARTING"
    READY = "READY"
    BUSY = "BUSY"
    UNREACHABLE = "UNREACHABLE"
    QUARANTINED = "QUARANTINED"
    DRAINING = "DRAINING"
    DRAINED = "DRAINED"

    @property
    def is_usable(self) -> bool:
        """Whether the worker gets jobs at all, now or after the present one."""
        return self in (WorkerState.READY, WorkerState.BUSY)


@dataclass(frozen=True)
class WorkerView:
    """A worker as it stands now.

    Attributes:
        name: Unique among workers.
        backend: Whose plans it carries out.
        address: Where it is reached; empty: it is part of a service.
        state: How it is.
        fault: Why it is not well, for operators; empty: it is.
        job_id: What it does now; empty: nothing.
        done_count: Jobs that it did since the queue began to count.
        facts: What it told about itself; None: it never answered.
    """

    name: str
    backend: str
    address: str
    state: WorkerState
    fault: str
    job_id: str
    done_count: int
    facts: WorkerFacts | None


class Workforce(Protocol):
    """The workers behind a queue."""

    async def workers(self) -> Sequence[WorkerView]:
        """All workers, in the order in which they came."""

    async def add(self, address: str) -> WorkerView:
        """Take up a worker; it is kept over restarts. One that is there stays.

        Raises:
            AddressInvalidError: The address is none.
        """

    async def remove(self, name: str, *, at_once: bool) -> WorkerView:
        """Let a worker go when its job is done; it stays away over restarts.

        Args:
            name: The worker.
            at_once: Take its job away from it and give it to another one.

        Raises:
            WorkerNotFoundError: There is none.
            WorkerFixedError: It is part of the service.
        """

    async def drain(self, name: str, *, draining: bool) -> WorkerView:
        """Let a worker take no further job, or take jobs again; also after a restart.

        Raises:
            WorkerNotFoundError: There is none.
        """

"""A worker as the queue sees it: what it does now, how it is, whether it may get a job."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from generation_service.queue.workforce import WorkerState, WorkerView

if TYPE_CHECKING:
    from generation_service.backends.interface import AttemptFailedError
    from generation_service.queue.drivers import WorkerDriver, WorkerFacts
    from generation_service.queue.entry import Entry


@dataclass(frozen=True)
class HealthLimits:
    """When a worker counts as ill.

    Attributes:
        check_seconds: Between two checks of a worker that is well.
        recheck_seconds: Between two checks of one that is not.
        answer_seconds: How long a check may take.
        dead_after: Failed checks in a row after which its job is taken away from it.
        faults: Failed attempts in a row after which it gets no job for a while.
        rest_seconds: The first such while; it doubles up to `rest_seconds_most`.
        rest_seconds_most: See there.
    """

    check_seconds: float = 5.0
    recheck_seconds: float = 1.0
    answer_seconds: float = 5.0
    dead_after: int = 3
    faults: int = 3
    rest_seconds: float = 5.0
    rest_seconds_most: float = 60.0


@dataclass(eq=False)
class Seat:
    """A worker and its place at the queue.

    Attributes:
        driver: The worker.
        health: When it counts as ill.
        running: What it does now; one job, since every worker does one at a time.
        models_key: Which models it has loaded, as far as we know.
        draining: Takes no further job.
        leaving: Is to be removed when it is idle.
        resting: Its process stops; it takes no further job until it is back.
        fixed: Part of the service; cannot be removed.
        facts: What it told about itself; None: it never answered.
        fault: Why it is not well, for operators; empty: it is.
        leftovers: Attempts that were given up while it was away; ended when it is back.
        done_count: Jobs that it did since the service started.
        idle_since: By `time.monotonic()`.
    """

    driver: WorkerDriver
    health: HealthLimits
    fixed: bool = False
    running: Entry | None = None
    models_key: str = ""
    draining: bool = False
    leaving: bool = False
    resting: bool = False
    facts: WorkerFacts | None = None
    fault: str = ""
    leftovers: set[str] = field(default_factory=set)
    done_count: int = 0
    idle_since: float = field(default_factory=time.monotonic)
    well: asyncio.Event = field(default_factory=asyncio.Event)
    poke: asyncio.Event = field(default_factory=asyncio.Event)
    _failed_checks: int = 0
    _faults: int = 0
    _rests: int = 0
    _rest_until: float = 0.0
    _quarantined: bool = False

    @property
    def name(self) -> str:
        """Of the worker."""
        return self.driver.name

    @property
    def note_key(self) -> str:
        """What the journal knows it by."""
        return self.driver.name if self.fixed else self.driver.address

    @property
    def state(self) -> WorkerState:
        """How it is."""
        if self.draining or self.leaving or self.resting:
            return WorkerState.DRAINING if self.running else WorkerState.DRAINED
        if self._quarantined:
            return WorkerState.QUARANTINED
        if self._failed_checks or self.leftovers:
            return WorkerState.UNREACHABLE
        if self.facts is None:
            return WorkerState.STARTING
        return WorkerState.BUSY if self.running else WorkerState.READY

    @property
    def is_free(self) -> bool:
        """Whether it may get a job now."""
        return self.state is WorkerState.READY

    @property
    def is_usable(self) -> bool:
        """Whether it gets jobs at all, now or after the present one."""
        return self.state.is_usable

    def view(self) -> WorkerView:
        """How it stands now."""
        return WorkerView(
            name=self.name,
            backend=self.driver.backend,
            address=self.driver.address,
            state=self.state,
            fault=self.fault,
            job_id=self.running.job.job_id if self.running is not None else "",
            done_count=self.done_count,
            facts=self.facts,
        )

    @property
    def dead(self) -> bool:
        """Whether it has been away for so long that its job is taken away from it."""
        return self._failed_checks >= self.health.dead_after

    def can(self, entry: Entry) -> bool:
        """Whether it has what a job needs."""
        plan = entry.job.plan
        return plan.backend == self.driver.backend and self.driver.lacks(plan) == ()

    def is_warm_for(self, entry: Entry) -> bool:
        """Whether it has just used the models of a job."""
        return bool(entry.job.plan.models_key) and entry.job.plan.models_key == self.models_key

    def take(self, entry: Entry) -> None:
        """Begin with a job."""
        self.running = entry
        self.models_key = entry.job.plan.models_key

    def free(self) -> None:
        """The job is over."""
        self.running = None
        self.idle_since = time.monotonic()

    def answered(self, facts: WorkerFacts) -> None:
        """A check went well; a rest that is over ends, and one job shows whether it is well."""
        self.facts = facts
        self._failed_checks = 0
        if self._quarantined and time.monotonic() >= self._rest_until:
            self._quarantined = False
            self._faults = self.health.faults - 1  # the next fault sends it to rest again
        if not self._quarantined:
            self.fault = ""
            self.well.set()

    def did_not_answer(self, why: str) -> None:
        """A check failed."""
        self._failed_checks += 1
        self.fault = why
        self.models_key = ""
        self.well.clear()

    def succeeded(self) -> None:
        """An attempt went well, or failed for the job's sake: the worker is well."""
        self._faults = 0
        self._rests = 0
        self.done_count += 1

    def failed(self, failure: AttemptFailedError) -> bool:
        """An attempt failed for the worker's sake; whether it is sent to rest for that."""
        self._faults += 1
        if not failure.quarantine and self._faults < self.health.faults:
            return False
        self._quarantined = True
        self.fault = failure.reason
        self.models_key = ""
        rest = self.health.rest_seconds * 2**self._rests
        self._rest_until = time.monotonic() + min(rest, self.health.rest_seconds_most)
        self._rests = min(self._rests + 1, 10)
        self.well.clear()
        return True

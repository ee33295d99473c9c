"""One attempt at a job on one worker: its phases, their limits, and an orderly end.

An attempt that is given up is ended on the worker before anything else happens there or the job
goes elsewhere, so that no job runs twice at once. A worker that cannot end it is hung.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from generation_service.backends.interface import AttemptFailedError
from generation_service.queue.drivers import WorkBegun
from generation_service.queue.jobs import JobState

if TYPE_CHECKING:
    from generation_service.queue.drivers import Made
    from generation_service.queue.entry import Entry
    from generation_service.queue.interface import QueueLimits
    from generation_service.queue.jobs import Progress
    from generation_service.queue.seats import Seat

log = structlog.get_logger(__name__)


class WorkerHungError(AttemptFailedError):
    """The worker does not end what it was told to end."""

    quarantine = True

    def __init__(self) -> None:
        """One sentence."""
        super().__init__("WORKER_HUNG", "The worker does not answer any more.", worth_retrying=True)


class Attempt:
    """One attempt of a job; `carry_out` may be cancelled, then `end` must follow."""

    def __init__(self, entry: Entry, seat: Seat, limits: QueueLimits) -> None:
        """Build the attempt.

        Args:
            entry: The job; its attempt id names the attempt.
            seat: The worker.
            limits: For loading, running and ending; the job's plan may set others.
        """
        self._entry = entry
        self._seat = seat
        self._limits = limits
        self._attempt_id = entry.attempt_id
        self._clock: asyncio.Timeout | None = None
        self._begin_time = time.monotonic()
        self._work_time: float | None = None

    async def carry_out(self, *, resume: bool) -> Made:
        """Do the job, or go on with it.

        Raises:
            AttemptFailedError: It did not work, or a phase took too long.
        """
        plan, driver = self._entry.job.plan, self._seat.driver
        call = driver.resume if resume else driver.run
        limit = self._limits.load_seconds if plan.load_seconds is None else plan.load_seconds
        clock = asyncio.timeout(limit + driver.grace_seconds)
        try:
            async with clock:
                self._clock = clock
                made = await call(self._entry.job, self._attempt_id, self._report)
        except TimeoutError as exc:
            if not clock.expired():
                raise
            raise self._too_slow() from exc
        finally:
            self._clock = None
        return self._with_load_time(made)

    async def end(self) -> None:
        """Make sure that nothing of it runs any more.

        Raises:
            WorkerHungError: The worker does not end it.
        """
        if self._seat.dead:  # it is ended when the worker is back
            self._seat.leftovers.add(self._attempt_id)
            return
        try:
            async with asyncio.timeout(self._limits.cancel_seconds):
                await self._seat.driver.cancel(self._attempt_id)
        except (AttemptFailedError, TimeoutError) as exc:
            self._seat.leftovers.add(self._attempt_id)
            log.warning("attempt_not_ended", worker=self._seat.name, attempt_id=self._attempt_id)
            raise WorkerHungError from exc

    def _report(self, news: Progress | WorkBegun) -> None:
        entry = self._entry
        if self._clock is None or entry.state is not JobState.RUNNING:
            return  # it was given up, or is over: nobody wants to hear of it
        if not isinstance(news, WorkBegun):
            wanted = news if entry.job.previews else replace(news, preview=None)
            entry.tell(wanted)
        elif self._work_time is None:
            self._work_time = time.monotonic()
            limit = entry.job.plan.run_seconds
            limit = self._limits.run_seconds if limit is None else limit
            limit += self._seat.driver.grace_seconds
            self._clock.reschedule(asyncio.get_running_loop().time() + limit)

    def _too_slow(self) -> AttemptFailedError:
        if self._work_time is None:
            return AttemptFailedError(
                "LOAD_TIMED_OUT", "The worker took too long to get ready.", worth_retrying=True
            )
        return AttemptFailedError("JOB_TIMEOUT", "The work took too long.", worth_retrying=False)

    def _with_load_time(self, made: Made) -> Made:
        if made.facts.load_seconds or self._work_time is None:
            return made
        load = self._work_time - self._begin_time
        return replace(made, facts=replace(made.facts, load_seconds=load))

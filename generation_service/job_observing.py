"""Counts and traces jobs, and looks now and then how full the queue is and how its workers are."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import structlog

from generation_service.metrics import (
    ATTEMPTS,
    JOB_RUN_SECONDS,
    JOB_WAIT_SECONDS,
    JOBS,
    QUEUE_ESTIMATE_SECONDS,
    QUEUE_JOBS,
    QUEUE_PAUSED,
    QUEUE_SESSIONS,
    WORKERS,
)
from servicekit.context import current_call, within_call
from servicekit.principals import SERVICE
from servicekit.spans import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generation_service.queue.endings import Ending
    from generation_service.queue.entry import Entry
    from generation_service.queue.interface import JobQueue
    from generation_service.queue.workforce import Workforce
    from servicekit.metrics import Meter, Reading
    from servicekit.spans import Tracer

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0


class ObservedJobs:
    """A `JobObserver`."""

    def __init__(self, meter: Meter, tracer: Tracer) -> None:
        """Count with `meter`, trace with `tracer`."""
        self._tracer = tracer
        self._jobs = meter.count(JOBS)
        self._wait = meter.distribution(JOB_WAIT_SECONDS)
        self._run = meter.distribution(JOB_RUN_SECONDS)
        self._attempts = meter.count(ATTEMPTS)

    @contextlib.contextmanager
    def attempting(self, entry: Entry) -> Iterator[None]:
        """See `JobObserver.attempting`.

        The span lies in the trace of whoever asked for the job, and links to that very request,
        since it may be long over.
        """
        job = entry.job
        self._attempts.add(job.plan.backend)
        facts: dict[str, str | int] = {
            "stellwerk.job_id": job.job_id,
            "stellwerk.execution_id": job.execution_id,
            "stellwerk.backend": job.plan.backend,
            "stellwerk.worker": entry.worker,
            "stellwerk.attempt": entry.attempt,
        }
        origin = job.traceparent
        begun = self._tracer.begin(
            "job attempt",
            Role.CONSUMER,
            parent=origin,
            links=[origin] if origin else [],
            attributes=facts,
        )
        with begun as span, within_call(replace(current_call(), span=span)):
            yield

    def ended(self, entry: Entry, ending: Ending) -> None:
        """See `JobObserver.ended`."""
        backend = entry.job.plan.backend
        self._jobs.add(backend, ending.state.value, ending.reason)
        self._wait.observe(entry.wait_seconds, backend)
        self._run.observe(entry.run_seconds, backend)


class QueueGauges:
    """What was seen of queue and workers at the last look; read by other threads."""

    def __init__(self, meter: Meter) -> None:
        """Show to `meter` what is seen."""
        self._jobs: Reading
        self._sessions: Reading
        self._paused: Reading
        self._estimate: Reading
        self._workers: Reading
        self._forget()
        meter.read(QUEUE_JOBS, lambda: self._jobs)
        meter.read(QUEUE_SESSIONS, lambda: self._sessions)
        meter.read(QUEUE_PAUSED, lambda: self._paused)
        meter.read(QUEUE_ESTIMATE_SECONDS, lambda: self._estimate)
        meter.read(WORKERS, lambda: self._workers)

    async def look(self, queue: JobQueue, workforce: Workforce) -> NoReturn:
        """Look again and again, for ever."""
        while True:
            try:
                await self._look(queue, workforce)
            except Exception as exc:  # an old number is worse than none, and none is seen
                log.warning("queue_not_seen", error_type=type(exc).__name__)
                self._forget()
            await asyncio.sleep(LOOK_SECONDS)

    def _forget(self) -> None:
        self._jobs = self._sessions = self._paused = self._estimate = self._workers = {}

    async def _look(self, queue: JobQueue, workforce: Workforce) -> None:
        status = await queue.status(SERVICE)
        self._jobs = {("waiting",): status.waiting, ("running",): status.running}
        self._sessions = status.sessions
        self._paused = float(status.paused)
        estimate = status.estimate_seconds
        self._estimate = {} if estimate is None else estimate
        workers = await workforce.workers()
        self._workers = Counter((worker.backend, worker.state.value) for worker in workers)

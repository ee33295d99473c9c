"""A worker slot of a backend that makes things by itself, such as the embedded renderers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generation_service.queue.drivers import Made, WorkBegun, WorkerFacts
from generation_service.queue.jobs import Progress

if TYPE_CHECKING:
    from generation_service.backends.interface import MediaBackend, MediaPlan
    from generation_service.queue.drivers import Report
    from generation_service.queue.jobs import Job


class InProcessDriver:
    """Has one backend make one thing at a time; see `WorkerDriver`."""

    address = ""
    choosy = False
    grace_seconds = 0.0

    def __init__(self, name: str, backend: MediaBackend) -> None:
        """Build the slot.

        Args:
            name: Of the worker.
            backend: Makes the files; shared by the slots and closed by its owner.
        """
        self.name = name
        self._backend = backend

    @property
    def backend(self) -> str:
        """See `WorkerDriver.backend`."""
        return self._backend.name

    async def check(self) -> WorkerFacts:
        """It is as well as this process."""
        return WorkerFacts(device="CPU of this service")

    def lacks(self, plan: MediaPlan) -> tuple[str, ...]:
        """What was planned can be made."""
        return ()

    async def learn(self, plan: MediaPlan) -> None:
        """There is nothing to ask."""

    async def run(self, job: Job, attempt_id: str, report: Report) -> Made:
        """See `WorkerDriver.run`."""
        report(WorkBegun())
        files = await self._backend.make(
            job.plan, lambda percent, node: report(Progress(round(percent, 1), node))
        )
        return Made(files)

    async def resume(self, job: Job, attempt_id: str, report: Report) -> Made:
        """Make it anew: what was begun died with the process, the same bytes come again."""
        return await self.run(job, attempt_id, report)

    async def cancel(self, attempt_id: str) -> None:
        """Nothing is left to end: cancelling `run` has ended the child's work."""

    async def forget(self, attempt_id: str) -> None:
        """Nothing is kept."""

    def release(self, attempt_id: str) -> None:
        """What runs here ends with this process."""

    async def close(self) -> None:
        """The backend is its owner's to close."""

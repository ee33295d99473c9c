"""A place at a picture service as a worker of the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generation_service.backends.interface import AttemptFailedError
from generation_service.queue.drivers import Made, WorkBegun, WorkerFacts
from generation_service.queue.jobs import Progress, RunFacts

if TYPE_CHECKING:
    from generation_service.backends.interface import MediaPlan
    from generation_service.backends.openai_images.backend import OpenAIImagesBackend
    from generation_service.queue.drivers import Report
    from generation_service.queue.jobs import Job


class OpenAIImagesDriver:
    """Does jobs at the service, one at a time; see `WorkerDriver`."""

    choosy = False
    grace_seconds = 5.0
    """The backend ends a job by itself, and its word says more than the queue's."""

    def __init__(self, name: str, backend: OpenAIImagesBackend, *, address: str = "") -> None:
        """Build the place.

        Args:
            name: Of the worker.
            backend: Asks the service; shared by the places and closed by its owner.
            address: The service's, for operators.
        """
        self.name = name
        self.address = address
        self._backend = backend

    @property
    def backend(self) -> str:
        """See `WorkerDriver.backend`."""
        return self._backend.name

    async def check(self) -> WorkerFacts:
        """It is taken to be well: asking would cost."""
        return WorkerFacts(device="picture service")

    def lacks(self, plan: MediaPlan) -> tuple[str, ...]:
        """What was planned can be asked for."""
        return ()

    async def learn(self, plan: MediaPlan) -> None:
        """There is nothing to ask."""

    async def run(self, job: Job, attempt_id: str, report: Report) -> Made:
        """See `WorkerDriver.run`."""
        report(WorkBegun())
        report(Progress(0.0, job.plan.model))
        made = await self._backend.ask(job.plan)
        report(Progress(100.0, job.plan.model))
        return Made(made.files, RunFacts(backend_job_id=made.request_id, texts=made.texts))

    async def resume(self, job: Job, attempt_id: str, report: Report) -> Made:
        """The answer to what was asked before this process started went nowhere."""
        raise AttemptFailedError(
            "ATTEMPT_LOST", "The picture service's answer was lost.", worth_retrying=True
        )

    async def cancel(self, attempt_id: str) -> None:
        """Nothing is left to end: cancelling `run` has closed the connection."""

    async def forget(self, attempt_id: str) -> None:
        """Nothing of ours is kept there that could be deleted."""

    def release(self, attempt_id: str) -> None:
        """There is nothing elsewhere that would go on."""

    async def close(self) -> None:
        """The backend is its owner's to close."""

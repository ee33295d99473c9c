"""The queue of a deployment as seen from outside: its jobs, its workers, its pause.

Apart from runs, since whoever looks after a room full of workers seldom runs an idea.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk_client import transfers
from stellwerk_client.errors import StellwerkError, translated
from stellwerk_client.patience import Patience

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from stellwerk_client.connections import Connections

_PAGE_SIZE = 100


class MediaQueue:
    """The jobs and workers of the generation service; reached as `StellwerkClient.queue`.

    Every method raises `StellwerkError` when the service refuses or fails.
    """

    def __init__(self, connections: Connections, watch_seconds: float) -> None:
        """Prepare; nothing is connected yet.

        Args:
            connections: The channels of the client.
            watch_seconds: Limit of one attempt to watch a job, in seconds.
        """
        self._connections = connections
        self._watch_seconds = watch_seconds

    async def list_jobs(
        self, *, states: Sequence[pb.JobState.ValueType] = (), execution_id: str = ""
    ) -> AsyncGenerator[pb.Job]:
        """Yield the jobs that one may see, the latest first; what is left out does not filter."""
        request = pb.ListJobsRequest(states=states, execution_id=execution_id, page_size=_PAGE_SIZE)
        stub = await self._connections.generation()
        while True:
            with translated():
                page = await stub.ListJobs(request)
            for job in page.jobs:
                yield job
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def get_job(self, job_id: str) -> pb.Job:
        """Return a job as it stands."""
        stub = await self._connections.generation()
        with translated():
            return (await stub.GetJob(pb.GetJobRequest(job_id=job_id))).job

    async def watch_job(
        self, job_id: str, *, after_sequence: int = 0
    ) -> AsyncGenerator[pb.GenerateMediaResponse]:
        """Yield the events of a job to its end; a short break in between does not matter."""
        request = pb.WatchJobRequest(job_id=job_id, after_sequence=after_sequence)
        stub = await self._connections.generation()
        patience = Patience()
        while True:
            call = stub.WatchJob(request, timeout=self._watch_seconds)
            try:
                async with aclosing(transfers.responses(call, pb.WatchJobResponse)) as responses:
                    async for response in responses:
                        request.after_sequence = response.event.sequence_number
                        patience.restore()
                        yield response.event
            except StellwerkError as exc:
                await patience.bear(exc)
            else:
                return

    async def cancel_job(self, job_id: str) -> pb.JobState.ValueType:
        """End a job and return where it stands; one that has ended stays as it is."""
        stub = await self._connections.generation()
        with translated():
            return (await stub.CancelJob(pb.CancelJobRequest(job_id=job_id))).state

    async def status(self) -> pb.QueueStatus:
        """Return how full the queue is."""
        stub = await self._connections.generation()
        with translated():
            return (await stub.GetQueue(pb.GetQueueRequest())).queue

    async def pause(self) -> pb.QueueStatus:
        """Let no further job begin until `resume`."""
        stub = await self._connections.generation()
        with translated():
            return (await stub.PauseQueue(pb.PauseQueueRequest())).queue

    async def resume(self) -> pb.QueueStatus:
        """Let jobs begin again."""
        stub = await self._connections.generation()
        with translated():
            return (await stub.ResumeQueue(pb.ResumeQueueRequest())).queue

    async def list_workers(self) -> Sequence[pb.Worker]:
        """Return all workers, in the order in which they came."""
        stub = await self._connections.generation()
        with translated():
            return (await stub.ListWorkers(pb.ListWorkersRequest())).workers

    async def add_worker(self, address: str) -> pb.Worker:
        """Take up a ComfyUI server, such as `http://gpu1:8188`; one that is known stays."""
        stub = await self._connections.generation()
        with translated():
            return (await stub.AddWorker(pb.AddWorkerRequest(address=address))).worker

    async def remove_worker(self, name: str, *, force: bool = False) -> pb.Worker:
        """Let a worker go: after its job, or at once, and its job goes to another."""
        stub = await self._connections.generation()
        with translated():
            request = pb.RemoveWorkerRequest(name=name, force=force)
            return (await stub.RemoveWorker(request)).worker

    async def drain_worker(self, name: str) -> pb.Worker:
        """Let a worker take no further job."""
        stub = await self._connections.generation()
        with translated():
            return (await stub.DrainWorker(pb.DrainWorkerRequest(name=name))).worker

    async def undrain_worker(self, name: str) -> pb.Worker:
        """Let a worker take jobs again."""
        stub = await self._connections.generation()
        with translated():
            return (await stub.UndrainWorker(pb.UndrainWorkerRequest(name=name))).worker

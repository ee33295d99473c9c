"""The RPCs about jobs, the queue and its workers."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from typing import TYPE_CHECKING

from generation_service import job_converters as converters
from servicekit.context import bind_execution_id, is_valid_id
from servicekit.errors import InvalidArgumentError
from servicekit.principals import current_principal
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk.generation.v1 import generation_service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    import grpc

    from generation_service.queue.interface import JobQueue
    from generation_service.queue.workforce import Workforce


class JobServicer(generation_service_pb2_grpc.GenerationServiceServicer):
    """Jobs after they were taken; see the comments in `generation_service.proto`."""

    def __init__(self, queue: JobQueue, workforce: Workforce, backends: Iterable[str]) -> None:
        """Everything that the RPCs hand over to.

        Args:
            queue: The jobs.
            workforce: The workers behind the queue.
            backends: Names of all media backends.
        """
        self._queue = queue
        self._workforce = workforce
        self._backends = tuple(backends)

    async def CancelJob(
        self,
        request: pb.CancelJobRequest,
        context: grpc.aio.ServicerContext[pb.CancelJobRequest, pb.CancelJobResponse],
    ) -> pb.CancelJobResponse:
        """End a job."""
        state = await self._queue.cancel(request.job_id, current_principal())
        return pb.CancelJobResponse(state=converters.job_state(state))

    async def WatchJob(
        self,
        request: pb.WatchJobRequest,
        context: grpc.aio.ServicerContext[pb.WatchJobRequest, pb.WatchJobResponse],
    ) -> AsyncIterator[pb.WatchJobResponse]:
        """Stream a job's events from where the caller left off."""
        caller = current_principal()
        view = await self._queue.get(request.job_id, caller)
        bind_execution_id(view.job.execution_id)
        watching = self._queue.watch(
            request.job_id, after=max(0, request.after_sequence), observer=caller
        )
        async with aclosing(watching) as events:
            async for event in events:
                yield pb.WatchJobResponse(event=converters.job_event(event))

    async def GetJob(
        self,
        request: pb.GetJobRequest,
        context: grpc.aio.ServicerContext[pb.GetJobRequest, pb.GetJobResponse],
    ) -> pb.GetJobResponse:
        """How a job stands."""
        caller = current_principal()
        view = await self._queue.get(request.job_id, caller)
        return pb.GetJobResponse(job=converters.job(view, caller))

    async def ListJobs(
        self,
        request: pb.ListJobsRequest,
        context: grpc.aio.ServicerContext[pb.ListJobsRequest, pb.ListJobsResponse],
    ) -> pb.ListJobsResponse:
        """A page of the jobs that the caller may see."""
        caller, size = current_principal(), converters.page_size(request.page_size)
        if request.page_token and not is_valid_id(request.page_token):
            raise InvalidArgumentError(
                "PAGE_TOKEN_INVALID", "The token comes from the page before.", field="page_token"
            )
        wanted = converters.job_filter(request)
        views = await self._queue.list_jobs(
            caller, wanted, before=request.page_token, limit=size + 1
        )
        shown = views[:size]
        return pb.ListJobsResponse(
            jobs=[converters.job(view, caller) for view in shown],
            next_page_token=shown[-1].job.job_id if len(views) > size else "",
        )

    async def GetQueue(
        self,
        request: pb.GetQueueRequest,
        context: grpc.aio.ServicerContext[pb.GetQueueRequest, pb.GetQueueResponse],
    ) -> pb.GetQueueResponse:
        """How full the queue is."""
        return pb.GetQueueResponse(queue=await self._status())

    async def PauseQueue(
        self,
        request: pb.PauseQueueRequest,
        context: grpc.aio.ServicerContext[pb.PauseQueueRequest, pb.PauseQueueResponse],
    ) -> pb.PauseQueueResponse:
        """Let no further job begin."""
        await self._queue.pause()
        return pb.PauseQueueResponse(queue=await self._status())

    async def ResumeQueue(
        self,
        request: pb.ResumeQueueRequest,
        context: grpc.aio.ServicerContext[pb.ResumeQueueRequest, pb.ResumeQueueResponse],
    ) -> pb.ResumeQueueResponse:
        """Let jobs begin again."""
        await self._queue.resume()
        return pb.ResumeQueueResponse(queue=await self._status())

    async def ListWorkers(
        self,
        request: pb.ListWorkersRequest,
        context: grpc.aio.ServicerContext[pb.ListWorkersRequest, pb.ListWorkersResponse],
    ) -> pb.ListWorkersResponse:
        """Who works and how they are."""
        return pb.ListWorkersResponse(
            workers=[converters.worker(view) for view in await self._workforce.workers()]
        )

    async def AddWorker(
        self,
        request: pb.AddWorkerRequest,
        context: grpc.aio.ServicerContext[pb.AddWorkerRequest, pb.AddWorkerResponse],
    ) -> pb.AddWorkerResponse:
        """Take up a worker."""
        view = await self._workforce.add(request.address)
        return pb.AddWorkerResponse(worker=converters.worker(view))

    async def RemoveWorker(
        self,
        request: pb.RemoveWorkerRequest,
        context: grpc.aio.ServicerContext[pb.RemoveWorkerRequest, pb.RemoveWorkerResponse],
    ) -> pb.RemoveWorkerResponse:
        """Let a worker go."""
        view = await self._workforce.remove(request.name, at_once=request.force)
        return pb.RemoveWorkerResponse(worker=converters.worker(view))

    async def DrainWorker(
        self,
        request: pb.DrainWorkerRequest,
        context: grpc.aio.ServicerContext[pb.DrainWorkerRequest, pb.DrainWorkerResponse],
    ) -> pb.DrainWorkerResponse:
        """Let a worker take no further job."""
        view = await self._workforce.drain(request.name, draining=True)
        return pb.DrainWorkerResponse(worker=converters.worker(view))

    async def UndrainWorker(
        self,
        request: pb.UndrainWorkerRequest,
        context: grpc.aio.ServicerContext[pb.UndrainWorkerRequest, pb.UndrainWorkerResponse],
    ) -> pb.UndrainWorkerResponse:
        """Let a worker take jobs again."""
        view = await self._workforce.drain(request.name, draining=False)
        return pb.UndrainWorkerResponse(worker=converters.worker(view))

    async def ListBackends(
        self,
        request: pb.ListBackendsRequest,
        context: grpc.aio.ServicerContext[pb.ListBackendsRequest, pb.ListBackendsResponse],
    ) -> pb.ListBackendsResponse:
        """What can make media here."""
        views = await self._workforce.workers()
        workers = Counter(view.backend for view in views)
        ready = Counter(view.backend for view in views if view.state.is_usable)
        return pb.ListBackendsResponse(
            backends=[
                pb.Backend(name=name, worker_count=workers[name], ready_worker_count=ready[name])
                for name in self._backends
            ]
        )

    async def _status(self) -> pb.QueueStatus:
        usable = sum(view.state.is_usable for view in await self._workforce.workers())
        return converters.queue_status(await self._queue.status(current_principal()), usable)

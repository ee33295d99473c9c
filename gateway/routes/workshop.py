"""The queue and its workers, for those who look after them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from gateway.identity import Staff
from gateway.problems import documented
from gateway.routes.answers import Id, Services, answers_with, plain
from stellwerk.generation.v1 import generation_service_pb2 as pb

router = APIRouter(prefix="/api/workshop", tags=["workshop"])

_ERRORS = documented(400, 401, 403, 404, 409, 422, 429, 503)
_QUEUE = answers_with(pb.QueueStatus.DESCRIPTOR) | _ERRORS
PageToken = Annotated[str, Query(max_length=400, description="Of the page before. Empty: first.")]


@router.get("/queue", responses=_QUEUE, response_class=JSONResponse)
async def queue(staff: Staff, services: Services) -> JSONResponse:
    """Tell how full the queue is."""
    return plain((await services.generation.GetQueue(pb.GetQueueRequest())).queue)


@router.post("/queue/pause", responses=_QUEUE, response_class=JSONResponse)
async def pause(staff: Staff, services: Services) -> JSONResponse:
    """Let no further job begin; what runs goes on."""
    return plain((await services.generation.PauseQueue(pb.PauseQueueRequest())).queue)


@router.post("/queue/resume", responses=_QUEUE, response_class=JSONResponse)
async def resume(staff: Staff, services: Services) -> JSONResponse:
    """Let jobs begin again."""
    return plain((await services.generation.ResumeQueue(pb.ResumeQueueRequest())).queue)


@router.get(
    "/jobs",
    responses=answers_with(pb.ListJobsResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def jobs(staff: Staff, services: Services, page_token: PageToken = "") -> JSONResponse:
    """List jobs, the latest first."""
    request = pb.ListJobsRequest(page_token=page_token)
    return plain(await services.generation.ListJobs(request))


@router.get(
    "/workers",
    responses=answers_with(pb.ListWorkersResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def workers(staff: Staff, services: Services) -> JSONResponse:
    """List workers and how they are."""
    return plain(await services.generation.ListWorkers(pb.ListWorkersRequest()))


@router.post(
    "/workers/{name}/drain",
    responses=answers_with(pb.DrainWorkerResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def drain(name: Id, staff: Staff, services: Services) -> JSONResponse:
    """Give a worker no further job."""
    return plain(await services.generation.DrainWorker(pb.DrainWorkerRequest(name=name)))


@router.post(
    "/workers/{name}/undrain",
    responses=answers_with(pb.UndrainWorkerResponse.DESCRIPTOR) | _ERRORS,
    response_class=JSONResponse,
)
async def undrain(name: Id, staff: Staff, services: Services) -> JSONResponse:
    """Let a worker take jobs again."""
    return plain(await services.generation.UndrainWorker(pb.UndrainWorkerRequest(name=name)))

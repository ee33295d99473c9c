"""The queue and its workers: who waits how long, and what those who look after them can do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from gateway.identity import Staff
from gateway.pages.rendering import pages_of
from gateway.routes.answers import Id, Services
from gateway.routes.choices import models_of
from servicekit.plain import plain_message
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb

if TYPE_CHECKING:
    from gateway.neighbours import Neighbours

router = APIRouter(prefix="/workshop", include_in_schema=False)

MOST_JOBS = 100
"""Jobs that are shown; the queue's numbers count all."""
WorkerName = Annotated[str, Form(max_length=200)]


@router.get("")
async def workshop(request: Request, staff: Staff, services: Services) -> Response:
    """Show the workshop."""
    live, server, models = await asyncio.gather(
        _live(services),
        services.orchestrator.GetServerInfo(orchestrator_pb.GetServerInfoRequest()),
        models_of(services),
    )
    return pages_of(request).page(
        request, "workshop/workshop.html", server=plain_message(server), models=models, **live
    )


@router.get("/live")
async def live(request: Request, staff: Staff, services: Services) -> Response:
    """Show what changes all the time: the page asks every two seconds."""
    return pages_of(request).page(request, "workshop/_live.html", **await _live(services))


@router.post("/pause")
async def pause(request: Request, staff: Staff, services: Services) -> Response:
    """Let no further job begin."""
    await services.generation.PauseQueue(pb.PauseQueueRequest())
    return await _after(request, services)


@router.post("/resume")
async def resume(request: Request, staff: Staff, services: Services) -> Response:
    """Let jobs begin again."""
    await services.generation.ResumeQueue(pb.ResumeQueueRequest())
    return await _after(request, services)


@router.post("/drain")
async def drain(request: Request, name: WorkerName, staff: Staff, services: Services) -> Response:
    """Give a worker no further job."""
    await services.generation.DrainWorker(pb.DrainWorkerRequest(name=name))
    return await _after(request, services)


@router.post("/undrain")
async def undrain(request: Request, name: WorkerName, staff: Staff, services: Services) -> Response:
    """Let a worker take jobs again."""
    await services.generation.UndrainWorker(pb.UndrainWorkerRequest(name=name))
    return await _after(request, services)


@router.post("/jobs/{job_id}/cancel")
async def cancel(request: Request, job_id: Id, staff: Staff, services: Services) -> Response:
    """End a job that waits or runs."""
    await services.generation.CancelJob(pb.CancelJobRequest(job_id=job_id))
    return await _after(request, services)


async def _after(request: Request, services: Neighbours) -> Response:
    if "hx-request" in request.headers:
        return pages_of(request).page(request, "workshop/_live.html", **await _live(services))
    return RedirectResponse("/workshop", 303)


async def _live(services: Neighbours) -> dict[str, Any]:
    queue, jobs, workers = await asyncio.gather(
        services.generation.GetQueue(pb.GetQueueRequest()),
        services.generation.ListJobs(
            pb.ListJobsRequest(
                states=[pb.JOB_STATE_QUEUED, pb.JOB_STATE_RUNNING], page_size=MOST_JOBS
            )
        ),
        services.generation.ListWorkers(pb.ListWorkersRequest()),
    )
    now = datetime.now(UTC)
    found = [_with_age(plain_message(job), now) for job in jobs.jobs]
    found.sort(key=_place)
    return {
        "queue": plain_message(queue.queue),
        "jobs": found,
        "workers": [plain_message(worker) for worker in workers.workers],
    }


def _with_age(job: dict[str, Any], now: datetime) -> dict[str, Any]:
    came = datetime.fromisoformat(job["queue_time"])
    return {**job, "age_seconds": max(0.0, (now - came).total_seconds())}


def _place(job: dict[str, Any]) -> tuple[bool, int]:
    """Sort running jobs first, then by their place in the queue."""
    return job["state"] != "running", job.get("queued", {}).get("position", 0)

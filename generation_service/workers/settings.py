"""Settings about workers and the queue; part of the generation service's."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field

from generation_service.backends.comfyui.prompt import Deadlines
from generation_service.queue.interface import QueueLimits
from generation_service.queue.seats import HealthLimits
from servicekit.settings import ServiceSettings

STORING_SHARE = 1.5
"""Of the time that a render may take; the rest is for storing."""


class WorkerSettings(ServiceSettings):
    """What the queue and its workers can be told."""

    comfyui_workers: str = Field(
        "",
        validation_alias=AliasChoices("COMFYUI_WORKERS", "comfyui_workers"),
        description="Addresses of ComfyUI servers, `http://gpu1:8188,http://gpu2:8188`. More can "
        "be added while the service runs.",
    )
    node_classes_file: Path | None = Field(
        None,
        description="JSON file of the ComfyUI node classes that a workflow may use. Unset: "
        "`node_classes.json` beside `MODELS_FILE`; none there: the list that ships.",
    )
    comfyui_node_classes: str = Field(
        "",
        validation_alias=AliasChoices("COMFYUI_NODE_CLASSES", "comfyui_node_classes"),
        description="More node classes that a workflow may use, `MyUpscaler,MyLoader`: those of "
        "custom nodes that you trust. The orchestrator reads it, too.",
    )
    worker_slots: int = Field(
        1,
        ge=0,
        le=64,
        description="Things that the embedded renderers make at the same time. 0: this process "
        "does not render, such as one that only looks after ComfyUI servers.",
    )
    render_seconds: float = Field(
        60.0, gt=0, le=3600, description="Longest time for one embedded render, in seconds."
    )
    worker_load_seconds: float = Field(
        300.0, gt=0, le=7200, description="Longest time in which a worker loads models, in seconds."
    )
    worker_run_seconds: float = Field(
        600.0, gt=0, le=86_400, description="Longest time of one attempt after that, in seconds."
    )
    worker_check_seconds: float = Field(
        5.0, gt=0, le=300, description="Time between two looks at how a worker is, in seconds."
    )
    queue_limit: int = Field(
        1000, ge=1, le=100_000, description="Jobs that may wait, of all sessions together."
    )
    session_queue_limit: int = Field(
        20, ge=1, le=10_000, description="Jobs that may wait, of one session."
    )
    session_running_limit: int = Field(
        8, ge=1, le=1000, description="Jobs that may run at the same time, of one session."
    )
    queue_wait_seconds: float = Field(
        600.0, gt=0, le=86_400, description="Longest time that a job may wait, in seconds."
    )
    job_attempts: int = Field(
        2, ge=1, le=10, description="How often a job is tried when workers fail it."
    )
    jobs_remembered: int = Field(
        1000, ge=0, le=100_000, description="Ended jobs that can still be asked for."
    )


def comfyui_addresses(settings: WorkerSettings) -> list[str]:
    """The addresses of `COMFYUI_WORKERS`, each once."""
    parts = [part.strip() for part in settings.comfyui_workers.replace(";", ",").split(",")]
    return list(dict.fromkeys(part for part in parts if part))


def queue_limits(settings: WorkerSettings) -> QueueLimits:
    """What the queue bounds."""
    return QueueLimits(
        waiting=settings.queue_limit,
        waiting_per_session=settings.session_queue_limit,
        running_per_session=settings.session_running_limit,
        wait_seconds=settings.queue_wait_seconds,
        load_seconds=settings.worker_load_seconds,
        run_seconds=max(settings.worker_run_seconds, settings.render_seconds * STORING_SHARE),
        attempts=settings.job_attempts,
        remembered=settings.jobs_remembered,
    )


def health_limits(settings: WorkerSettings) -> HealthLimits:
    """When a worker counts as ill."""
    check = settings.worker_check_seconds
    return HealthLimits(check_seconds=check, recheck_seconds=min(1.0, check))


def comfyui_deadlines(settings: WorkerSettings) -> Deadlines:
    """How long each phase of a prompt may last where its workflow says nothing."""
    return Deadlines(
        wait_seconds=settings.worker_load_seconds,
        load_seconds=settings.worker_load_seconds,
        run_seconds=settings.worker_run_seconds,
    )

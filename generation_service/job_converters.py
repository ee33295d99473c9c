"""Jobs, their events, the queue and its workers: protobuf to domain and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from generation_service.backends.interface import WorkflowOrder
from generation_service.converters import duration, json_bytes, media_ref
from generation_service.queue.interface import JobFilter
from generation_service.queue.jobs import (
    Finished,
    JobState,
    Output,
    Progress,
    Queued,
    Started,
)
from generation_service.queue.workforce import WorkerState
from servicekit.errors import InvalidArgumentError
from servicekit.nesting import MAX_DEPTH, is_deeper_than
from servicekit.principals import Role
from stellwerk.generation.v1 import generation_service_pb2 as pb

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration

    from generation_service.queue.interface import QueueStatus
    from generation_service.queue.jobs import JobEvent, JobView
    from generation_service.queue.workforce import WorkerView
    from servicekit.principals import Principal

MAX_GRAPH_BYTES = 4 * 1024 * 1024
MAX_PAGE_SIZE = 200
DEFAULT_PAGE_SIZE = 50

_STATES = {state: pb.JobState.Value(f"JOB_STATE_{state.value}") for state in JobState}
_STATES_BACK = {value: state for state, value in _STATES.items()}
_WORKER_STATES = {
    state: pb.WorkerState.Value(f"WORKER_STATE_{state.value}") for state in WorkerState
}


def job_state(state: JobState) -> pb.JobState.ValueType:
    """A state on the wire."""
    return _STATES[state]


def job_event(event: JobEvent, warnings: tuple[str, ...] = ()) -> pb.GenerateMediaResponse:
    """One event on the wire; `warnings` are added to those of the end."""
    message = pb.GenerateMediaResponse(
        sequence_number=event.sequence_number, job_id=event.job.job_id
    )
    match event.happening:
        case Queued() as queued:
            message.queued.CopyFrom(_queued(queued))
        case Started(worker, attempt):
            message.started.CopyFrom(pb.JobStarted(worker=worker, attempt=attempt))
        case Progress() as progress:
            message.progress.CopyFrom(_progress(progress))
        case Output() as output:
            message.output.CopyFrom(_output(output))
        case Finished() as end:
            message.finished.CopyFrom(_finished(event, end, warnings))
    return message


def job(view: JobView, caller: Principal) -> pb.Job:
    """A job on the wire, its prompt only for whom it is; researchers know nobody's session."""
    job, plan = view.job, view.job.plan
    own = (caller.id, caller.session) == (job.owner.id, job.owner.session)
    message = pb.Job(
        job_id=job.job_id,
        state=_STATES[view.state],
        execution_id=job.execution_id,
        loop_iteration=job.loop_iteration,
        output_config=job.output_config,
        backend=plan.backend,
        model=plan.model,
        session_id=job.owner.session if own or caller.role is not Role.RESEARCHER else "",
        prompt=plan.prompt if own else "",
        queue_time=_timestamp(view.queue_time),
        worker=view.worker,
        attempt=view.attempt,
        priority=job.priority,
        detach=job.detach,
        outputs=[_output(output) for output in view.outputs],
    )
    if view.last is not None:
        message.last_sequence_number = view.last.sequence_number
        match view.last.happening:
            case Queued() as queued if view.state is JobState.QUEUED:
                message.queued.CopyFrom(_queued(queued))
            case Progress() as progress:
                message.progress.CopyFrom(_progress(progress))
            case Finished() as end:
                message.finished.CopyFrom(_finished(view.last, end, ()))
    return message


def job_filter(request: pb.ListJobsRequest) -> JobFilter:
    """Which jobs are wanted.

    Raises:
        InvalidArgumentError: STATE_UNSPECIFIED.
    """
    states = [_STATES_BACK.get(state) for state in request.states]
    known = {state for state in states if state is not None}
    if None in states:
        raise InvalidArgumentError(
            "STATE_UNSPECIFIED", "Name states that there are.", field="states"
        )
    return JobFilter(states=known, execution_id=request.execution_id)


def page_size(asked: int) -> int:
    """How many are to be listed.

    Raises:
        InvalidArgumentError: PAGE_SIZE_INVALID.
    """
    if not 0 <= asked <= MAX_PAGE_SIZE:
        raise InvalidArgumentError(
            "PAGE_SIZE_INVALID", f"A page holds 1 to {MAX_PAGE_SIZE}.", field="page_size"
        )
    return asked or DEFAULT_PAGE_SIZE


def queue_status(status: QueueStatus, worker_count: int) -> pb.QueueStatus:
    """The queue in numbers."""
    message = pb.QueueStatus(
        waiting_count=status.waiting,
        running_count=status.running,
        own_waiting_count=status.own_waiting,
        own_running_count=status.own_running,
        session_count=status.sessions,
        paused=status.paused,
        worker_count=worker_count,
    )
    if status.estimate_seconds is not None:
        message.estimate_duration.CopyFrom(duration(status.estimate_seconds))
    return message


def worker(view: WorkerView) -> pb.Worker:
    """A worker on the wire."""
    message = pb.Worker(
        name=view.name,
        backend=view.backend,
        address=view.address,
        state=_WORKER_STATES[view.state],
        fault=view.fault,
        job_id=view.job_id,
        done_count=view.done_count,
    )
    if view.facts is not None:
        message.version = view.facts.version
        message.device = view.facts.device
        message.vram_total_bytes = view.facts.vram_total_bytes
        message.vram_free_bytes = view.facts.vram_free_bytes
    return message


def workflow_order(message: pb.Workflow) -> WorkflowOrder:
    """A workflow as asked for.

    Raises:
        InvalidArgumentError: WORKFLOW_INVALID, when a part is too large or no JSON.
    """
    violations: list[tuple[str, str]] = []
    parts: dict[str, Any] = {}
    for name in ("graph_json", "input_mappings_json", "output_mapping_json", "lora_place_json"):
        text: bytes = getattr(message, name)
        try:
            if len(text) > MAX_GRAPH_BYTES:
                raise ValueError("It is larger than 4 MiB.")
            parts[name] = json.loads(text) if text else None
            if is_deeper_than(parts[name]):
                raise ValueError(f"It is nested more than {MAX_DEPTH} deep.")
        except (ValueError, RecursionError) as exc:
            violations.append((f"workflow.{name}", str(exc)))
    if violations:
        raise InvalidArgumentError(
            "WORKFLOW_INVALID",
            "The recipe for this output has a mistake. Please tell its author.",
            violations=violations,
        )
    return WorkflowOrder(
        name=message.id,
        graph=parts["graph_json"],
        input_mappings=parts["input_mappings_json"],
        output_mapping=parts["output_mapping_json"],
        lora_place=parts["lora_place_json"],
        load_seconds=_limit(
            "load_limit_duration",
            message.load_limit_duration if message.HasField("load_limit_duration") else None,
        ),
        run_seconds=_limit(
            "run_limit_duration",
            message.run_limit_duration if message.HasField("run_limit_duration") else None,
        ),
        vram_bytes=max(0, message.vram_bytes),
    )


def _limit(name: str, limit: Duration | None) -> float | None:
    if limit is None:
        return None
    seconds = limit.ToTimedelta() / timedelta(seconds=1)
    if seconds <= 0:
        raise InvalidArgumentError(
            "PARAMETER_OUT_OF_RANGE", "A limit must be above 0.", field=f"workflow.{name}"
        )
    return seconds


def _queued(queued: Queued) -> pb.JobQueued:
    message = pb.JobQueued(position=queued.position)
    if queued.estimate_seconds is not None:
        message.estimate_duration.CopyFrom(duration(queued.estimate_seconds))
    return message


def _progress(progress: Progress) -> pb.JobProgress:
    message = pb.JobProgress(percent=progress.percent, node=progress.node)
    if progress.preview is not None:
        message.preview.data = progress.preview.data
        message.preview.mime_type = progress.preview.mime_type
    return message


def _output(output: Output) -> pb.JobOutput:
    return pb.JobOutput(
        media=media_ref(output.media),
        file_number=output.file_number,
        photographic=output.photographic,
    )


def _finished(event: JobEvent, end: Finished, warnings: tuple[str, ...]) -> pb.JobFinished:
    plan = event.job.plan
    return pb.JobFinished(
        state=_STATES[end.state],
        parameters_json=json_bytes(plan.applied),
        backend=plan.backend,
        model=plan.model,
        backend_job_id=end.facts.backend_job_id,
        wait_duration=duration(end.wait_seconds),
        run_duration=duration(end.run_seconds),
        load_duration=duration(end.facts.load_seconds),
        error_reason=end.error_reason,
        error_message=end.error_message,
        error_detail=end.error_detail,
        warnings=dict.fromkeys([*plan.warnings, *end.facts.warnings, *warnings]),
        workflow_sha256=end.facts.workflow_sha256,
        outputs_reused=end.facts.outputs_reused,
        texts=end.facts.texts,
    )


def _timestamp(seconds: float) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(datetime.fromtimestamp(seconds, tz=UTC))
    return message

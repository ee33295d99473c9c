"""What people read about jobs: a table, the facts of one, a line per event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicekit.plain import enum_word
from stellwerk.generation.v1.generation_service_pb2 import JobState
from stellwerk_cli.tables import seconds, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.duration_pb2 import Duration

    from stellwerk.generation.v1.generation_service_pb2 import (
        GenerateMediaResponse,
        Job,
        JobFinished,
        JobOutput,
        JobQueued,
        QueueStatus,
    )

_TIME = "%Y-%m-%d %H:%M:%S"


def state_word(state: JobState.ValueType) -> str:
    """Return a state as a short word."""
    return enum_word(JobState.DESCRIPTOR, state)


def job_table(jobs: Sequence[Job]) -> list[str]:
    """Return a table of jobs."""
    head = ("ID", "QUEUED (UTC)", "STATE", "OUTPUT", "WORKER", "TRY", "STANDS")
    return table(head, [_row(job) for job in jobs])


def job_facts(job: Job) -> list[str]:
    """Return what is known of a job, a fact a line; what is empty is left out."""
    facts = {
        "job": job.job_id,
        "state": state_word(job.state),
        "stands": _stand(job),
        "execution": job.execution_id,
        "output": f"{job.output_config} (number {job.loop_iteration})",
        "model": job.model,
        "session": job.session_id,
        "prompt": job.prompt,
        "queued": f"{job.queue_time.ToDatetime():{_TIME}} UTC",
        "worker": f"{job.worker}, attempt {job.attempt}" if job.worker else "",
        "priority": str(job.priority or ""),
        "detached": "yes" if job.detach else "",
    }
    facts |= _end_facts(job.finished) if job.HasField("finished") else {}
    lines = [f"{name:<10} {value}" for name, value in facts.items() if value]
    return lines + [f"{'file':<10} {_file(output)}" for output in job.outputs]


def event_lines(event: GenerateMediaResponse) -> list[str]:
    """Return what happened; nothing for an event that a newer server made."""
    kind = event.WhichOneof("event")
    if kind == "queued":
        return [f"queued    {_place(event.queued)}"]
    if kind == "started":
        return [f"started   {event.started.worker}, attempt {event.started.attempt}"]
    if kind == "progress":
        return [f"progress  {event.progress.percent:.0f} % {event.progress.node}".rstrip()]
    if kind == "output":
        return [f"output    {_file(event.output)}"]
    if kind == "finished":
        end = event.finished
        facts = _end_facts(end)
        return [f"{state_word(end.state):<9} {facts.pop('why', '') or facts['took']}"] + [
            f"{'':<9} {facts[name]}" for name in ("detail", "warning") if facts.get(name)
        ]
    return []


def queue_line(status: QueueStatus) -> str:
    """Return how full the queue is in a line."""
    state = "paused" if status.paused else "open"
    estimate = ""
    if status.HasField("estimate_duration") and status.waiting_count:
        estimate = f", the last begins in about {seconds(_seconds(status.estimate_duration))}"
    return (
        f"{state}: {status.running_count} running, {status.waiting_count} waiting "
        f"of {status.session_count} sessions, {status.worker_count} workers{estimate}"
    )


def _row(job: Job) -> list[str]:
    return [
        job.job_id,
        f"{job.queue_time.ToDatetime():{_TIME}}",
        state_word(job.state),
        job.output_config,
        job.worker,
        str(job.attempt or ""),
        _stand(job) or (job.finished.error_reason if job.HasField("finished") else ""),
    ]


def _stand(job: Job) -> str:
    if job.HasField("queued"):
        return _place(job.queued)
    if job.HasField("progress"):
        return f"{job.progress.percent:.0f} % {job.progress.node}".rstrip()
    return ""


def _place(queued: JobQueued) -> str:
    if not queued.HasField("estimate_duration"):
        return f"{queued.position} before it"
    return f"{queued.position} before it, about {seconds(_seconds(queued.estimate_duration))}"


def _end_facts(end: JobFinished) -> dict[str, str]:
    load = f", of which {seconds(_seconds(end.load_duration))} loading"
    took = (
        f"waited {seconds(_seconds(end.wait_duration))}, "
        f"ran {seconds(_seconds(end.run_duration))}"
        f"{load if _seconds(end.load_duration) else ''}"
    )
    return {
        "why": f"{end.error_message} ({end.error_reason})" if end.error_reason else "",
        "detail": end.error_detail,
        "took": took,
        "at worker": end.backend_job_id,
        "warning": " ".join(end.warnings),
    }


def _file(output: JobOutput) -> str:
    media = output.media
    return f"{media.uri}, {media.mime_type}, {media.size_bytes} bytes"


def _seconds(duration: Duration) -> float:
    return duration.ToNanoseconds() / 1e9

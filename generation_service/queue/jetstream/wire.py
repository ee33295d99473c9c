"""What the processes of a queue say to each other, as JSON."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

from generation_service.backends.interface import AttemptFailedError, Preview
from generation_service.media.interface import StoredMedia
from generation_service.queue.drivers import WorkerFacts
from generation_service.queue.interface import (
    AddressInvalidError,
    JobNotFoundError,
    NotSupportedError,
    NoWorkerError,
    QueueClosedError,
    QueueFullError,
    QueueStatus,
    WorkerFixedError,
    WorkerNotFoundError,
)
from generation_service.queue.jobs import (
    Finished,
    JobEvent,
    JobState,
    JobView,
    Output,
    Progress,
    Queued,
    Started,
)
from generation_service.queue.records import (
    finished_from_fields,
    job_from_text,
    job_text,
)
from generation_service.queue.workforce import WorkerState, WorkerView
from servicekit import errors
from servicekit.principals import Principal, Role

if TYPE_CHECKING:
    from generation_service.queue.jobs import Happening, Job

Fields: TypeAlias = dict[str, Any]

_PLAIN, _DEFLATED = b"j", b"z"
_WORTH_DEFLATING_BYTES = 8192
_MOST_BYTES = 64 * 1024 * 1024

_CLASSES: dict[str, type[errors.ServiceError]] = {
    "ADDRESS_INVALID": AddressInvalidError,
    "DRAINING": QueueClosedError,
    "JOB_NOT_FOUND": JobNotFoundError,
    "NO_WORKER": NoWorkerError,
    "QUEUE_FULL": QueueFullError,
    "WORKER_FIXED": WorkerFixedError,
    "WORKER_LACKS": NotSupportedError,
    "WORKER_NOT_FOUND": WorkerNotFoundError,
}


def pack(fields: Fields) -> bytes:
    """Fields as bytes; long ones are deflated, which makes a tenth of a workflow."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) < _WORTH_DEFLATING_BYTES:
        return _PLAIN + text
    return _DEFLATED + zlib.compress(text, 1)


def unpack(data: bytes) -> Fields:
    """The fields of `pack`.

    Raises:
        ValueError: It is not of that form, or too long.
    """
    text = data[1:]
    if data[:1] == _DEFLATED:
        inflater = zlib.decompressobj()
        try:
            text = inflater.decompress(text, _MOST_BYTES)
        except zlib.error as exc:
            raise ValueError("this is no message of ours") from exc
        if inflater.unconsumed_tail:
            raise ValueError("the message is too long")
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("this is no message of ours")
    return fields


def error_fields(error: errors.ServiceError) -> Fields:
    """What a call fails with."""
    return {
        "reason": error.reason,
        "message": error.message,
        "code": error.code,
        "violations": error.violations,
        "retry_seconds": error.retry_seconds,
        "resource": error.resource,
    }


def error_from_fields(fields: Fields) -> errors.ServiceError:
    """The error of `error_fields`, of the class that its reason or its code belongs to."""
    made = _CLASSES.get(fields["reason"]) or next(
        (kind for kind in errors.ServiceError.__subclasses__() if kind.code == fields["code"]),
        errors.InternalError,
    )
    error = made.__new__(made)
    resource = fields["resource"]
    errors.ServiceError.__init__(
        error,
        fields["reason"],
        fields["message"],
        violations=[(path, text) for path, text in fields["violations"]],
        retry_seconds=fields["retry_seconds"],
        resource=(resource[0], resource[1]) if resource else None,
    )
    return error


class _QuarantinedError(AttemptFailedError):
    """The worker must not get another job before it is itself again."""

    quarantine = True


def failure_fields(failure: AttemptFailedError) -> Fields:
    """Why an attempt failed."""
    return {
        "reason": failure.reason,
        "message": failure.message,
        "worth_retrying": failure.worth_retrying,
        "detail": failure.detail,
        "quarantine": failure.quarantine,
    }


def failure_from_fields(fields: Fields) -> AttemptFailedError:
    """The failure of `failure_fields`."""
    made = _QuarantinedError if fields["quarantine"] else AttemptFailedError
    failure = made(fields["reason"], fields["message"], worth_retrying=fields["worth_retrying"])
    failure.detail = fields["detail"]
    return failure


def job_fields(job: Job) -> Fields:
    """A job."""
    fields: Fields = json.loads(job_text(job))
    return fields


def job_from_fields(fields: Fields) -> Job:
    """The job of `job_fields`."""
    return job_from_text(json.dumps(fields))


def principal_from_fields(fields: Fields) -> Principal:
    """The principal of `asdict`."""
    roles = {"role": Role(fields["role"]), "actor": Role(fields["actor"])}
    return Principal(**{**fields, **roles})


def media_from_fields(fields: list[Fields]) -> tuple[StoredMedia, ...]:
    """Stored files of `asdict`."""
    return tuple(StoredMedia(**each) for each in fields)


def event_fields(event: JobEvent) -> Fields:
    """An event without its job."""
    return {"number": event.sequence_number, **_happening_fields(event.happening)}


def event_from_fields(fields: Fields, job: Job) -> JobEvent:
    """The event of `event_fields`."""
    return JobEvent(fields["number"], job, _happening(fields["kind"], fields["of"]))


def progress_fields(progress: Progress, *, with_preview: bool = True) -> Fields:
    """How far a job is."""
    fields: Fields = {"percent": progress.percent, "node": progress.node}
    if progress.preview is not None and with_preview:
        data = base64.b64encode(progress.preview.data).decode()
        fields["preview"] = {"data": data, "mime_type": progress.preview.mime_type}
    return fields


def progress_from_fields(fields: Fields) -> Progress:
    """The progress of `progress_fields`."""
    preview = None
    if (shown := fields.get("preview")) is not None:
        preview = Preview(base64.b64decode(shown["data"]), shown["mime_type"])
    return Progress(fields["percent"], fields["node"], preview)


def view_fields(view: JobView) -> Fields:
    """A job as it stands; what only doing it needs is left out."""
    fields = asdict(view)
    fields["job"]["plan"]["work"] = {}
    fields["last"] = event_fields(view.last) if view.last else None
    return fields


def view_from_fields(fields: Fields) -> JobView:
    """The view of `view_fields`."""
    job = job_from_fields(fields["job"])
    last = fields["last"]
    return JobView(
        job=job,
        state=JobState(fields["state"]),
        queue_time=fields["queue_time"],
        worker=fields["worker"],
        attempt=fields["attempt"],
        last=event_from_fields(last, job) if last else None,
        outputs=tuple(_output(each) for each in fields["outputs"]),
    )


def status_from_fields(fields: Fields) -> QueueStatus:
    """The status of `asdict`."""
    return QueueStatus(**fields)


def worker_from_fields(fields: Fields) -> WorkerView:
    """The worker of `asdict`."""
    facts = fields["facts"]
    changed = {
        "state": WorkerState(fields["state"]),
        "facts": WorkerFacts(**facts) if facts else None,
    }
    return WorkerView(**{**fields, **changed})


def _happening_fields(happening: Happening) -> Fields:
    if isinstance(happening, Progress):
        return {"kind": "progress", "of": progress_fields(happening)}
    kinds = {Queued: "queued", Started: "started", Output: "output", Finished: "finished"}
    return {"kind": kinds[type(happening)], "of": asdict(happening)}


def _happening(kind: str, fields: Fields) -> Happening:
    match kind:
        case "queued":
            return Queued(**fields)
        case "started":
            return Started(**fields)
        case "progress":
            return progress_from_fields(fields)
        case "output":
            return _output(fields)
        case "finished":
            return finished_from_fields(fields)
    raise ValueError(f"there is no event {kind!r}")


def _output(fields: Fields) -> Output:
    return Output(**{**fields, "media": StoredMedia(**fields["media"])})

"""Jobs and their ends as JSON, for the journal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from generation_service.backends.interface import MediaPlan
from generation_service.media.interface import StoredMedia
from generation_service.queue.jobs import Finished, Job, JobEvent, JobState, Output, RunFacts
from servicekit.principals import Principal, Role


def job_text(job: Job) -> str:
    """A job as JSON; 64-bit seeds stay exact."""
    return json.dumps(asdict(job), ensure_ascii=False, separators=(",", ":"))


def job_from_text(text: str) -> Job:
    """The job of `job_text`.

    Raises:
        ValueError: It is not of that form.
    """
    try:
        fields: dict[str, Any] = json.loads(text)
        owner = fields.pop("owner")
        plan = fields.pop("plan")
        plan["warnings"] = tuple(plan["warnings"])
        roles = {"role": Role(owner["role"]), "actor": Role(owner["actor"])}
        return Job(**fields, owner=Principal(**{**owner, **roles}), plan=MediaPlan(**plan))
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError("this is no job") from exc


def story_text(events: list[JobEvent]) -> str:
    """Outputs and end of a job as JSON."""
    outputs = [
        {"number": event.sequence_number, "output": asdict(event.happening)}
        for event in events
        if isinstance(event.happening, Output)
    ]
    end = next(event for event in reversed(events) if isinstance(event.happening, Finished))
    story = {
        "outputs": outputs,
        "number": end.sequence_number,
        "end": asdict(end.happening),
    }
    return json.dumps(story, ensure_ascii=False, separators=(",", ":"))


def story_from_text(text: str, job: Job) -> list[JobEvent]:
    """The events of `story_text`.

    Raises:
        ValueError: It is not of that form.
    """
    try:
        story: dict[str, Any] = json.loads(text)
        events = [_output(each, job) for each in story["outputs"]]
        return [*events, JobEvent(story["number"], job, finished_from_fields(story["end"]))]
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError("this is no story of a job") from exc


def finished_from_fields(fields: dict[str, Any]) -> Finished:
    """The end of a job, of `asdict`."""
    changed = {"state": JobState(fields["state"]), "facts": facts_from_fields(fields["facts"])}
    return Finished(**{**fields, **changed})


def facts_from_fields(fields: dict[str, Any]) -> RunFacts:
    """How a job was done, of `asdict`."""
    return RunFacts(**{**fields, **{name: tuple(fields[name]) for name in ("warnings", "texts")}})


def _output(fields: dict[str, Any], job: Job) -> JobEvent:
    output = fields["output"]
    media = StoredMedia(**output.pop("media"))
    return JobEvent(fields["number"], job, Output(media=media, **output))

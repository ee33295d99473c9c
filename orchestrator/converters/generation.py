"""Requests to the generation service and its answers on the wire."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from orchestrator import ports
from orchestrator.converters.words import (
    LEVELS,
    MEDIA_TYPES,
    duration,
    media_from_proto,
    media_to_proto,
)
from orchestrator.model import StageFailure
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2

if TYPE_CHECKING:
    from orchestrator.configs.workflow import PlannedWorkflow


def text_request_to_proto(request: ports.TextRequest) -> generation_pb2.GenerateTextRequest:
    """Return a call of a language model for the wire."""
    given: dict[str, Any] = dict(request.parameters)
    keep_alive = duration(given.pop("keep_alive_seconds", None))
    return generation_pb2.GenerateTextRequest(
        role=request.role,
        model=request.model,
        messages=[
            generation_pb2.TextMessage(role=role, content=content)
            for role, content in request.messages
        ],
        task=generation_pb2.TextTask(
            text=request.text,
            context=request.context,
            source_language=request.source_language,
            target_language=request.target_language,
            config_id=request.config_id,
            chunk_id=request.chunk_id,
        ),
        parameters=generation_pb2.TextParameters(keep_alive_duration=keep_alive, **given),
        execution_id=request.execution_id,
        safety_level=LEVELS[request.level],
    )


def text_event_from_proto(
    response: generation_pb2.GenerateTextResponse,
) -> ports.TextDelta | ports.TextAnswer:
    """Return a delta or the answer."""
    if response.HasField("delta"):
        return ports.TextDelta(response.delta.text, response.delta.restart)
    result = response.result
    counted = result.HasField
    return ports.TextAnswer(
        text=result.text,
        messages=tuple((each.role, each.content) for each in result.messages),
        parameters=_json_object(result.parameters_json),
        model=result.model,
        backend=result.backend,
        prompt_tokens=result.prompt_token_count if counted("prompt_token_count") else None,
        completion_tokens=result.completion_token_count
        if counted("completion_token_count")
        else None,
        run_seconds=result.run_duration.ToTimedelta().total_seconds(),
        first_token_seconds=result.first_token_duration.ToTimedelta().total_seconds(),
        finish_reason=result.finish_reason,
        backend_job_id=result.backend_job_id,
        switches=tuple((each.from_model, each.to_model, each.reason) for each in result.switches),
        cost=result.cost.amount if counted("cost") else None,
        cost_currency=result.cost.currency_code,
    )


TYPED_PARAMETERS = frozenset(
    field.name
    for field in generation_pb2.MediaParameters.DESCRIPTOR.fields
    if field.name not in ("input_media", "extra_json", "loras")
)
"""Parameters of an output that the contract names; the others travel as JSON."""


def media_request_to_proto(request: ports.MediaRequest) -> generation_pb2.GenerateMediaRequest:
    """Return an output to render for the wire."""
    typed = {name: value for name, value in request.parameters.items() if name in TYPED_PARAMETERS}
    extra = {name: value for name, value in request.parameters.items() if name not in typed}
    try:
        parameters = generation_pb2.MediaParameters(
            **typed,  # type: ignore[arg-type]  # wrong types are told below
            extra_json=json.dumps(extra).encode() if extra else b"",
            loras=[
                generation_pb2.Lora(name=lora.name, strength=lora.strength)
                for lora in request.loras
            ],
            input_media=[media_to_proto(media) for media in request.input_media],
        )
    except (TypeError, ValueError) as exc:
        raise StageFailure(
            "PARAMETER_OUT_OF_RANGE",
            "A parameter of the output has a wrong type.",
            recoverable=False,
        ) from exc
    message = generation_pb2.GenerateMediaRequest(
        execution_id=request.execution_id,
        safety_level=LEVELS[request.level],
        loop_iteration=request.loop_iteration,
        output_config=request.output_config,
        backend=request.backend,
        model=request.model,
        media_type=MEDIA_TYPES[request.media_type],
        prompt=request.prompt,
        parameters=parameters,
        previews=request.previews,
        workflow=_workflow_to_proto(request.workflow) if request.workflow else None,
    )
    message.idempotency_key = _job_key(message)
    message.item_id = request.item_id
    return message


def _job_key(message: generation_pb2.GenerateMediaRequest) -> str:
    """Return the name of a job: what is asked for, by which execution, for which output.

    Whoever takes the execution up after a death asks for the same, and so finds the job that runs
    or has ended since. Another epoch's item is another item, hence not part of the name.
    """
    return hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()


def _workflow_to_proto(workflow: PlannedWorkflow) -> generation_pb2.Workflow:
    return generation_pb2.Workflow(
        id=workflow.id,
        graph_json=workflow.graph_json.encode(),
        input_mappings_json=workflow.input_mappings_json.encode(),
        output_mapping_json=workflow.output_mapping_json.encode(),
        lora_place_json=workflow.lora_place_json.encode(),
    )


def job_event_from_proto(
    response: generation_pb2.GenerateMediaResponse,
) -> ports.JobEvent | None:
    """Return the event of a job; None for kinds that we do not know."""
    kind = response.WhichOneof("event")
    if kind == "queued":
        queued = response.queued
        known = queued.HasField("estimate_duration")
        estimate = queued.estimate_duration.ToTimedelta().total_seconds() if known else None
        return ports.JobQueued(queued.position, estimate)
    if kind == "started":
        return ports.JobStarted(response.started.worker, response.started.attempt)
    if kind == "progress":
        progress = response.progress
        return ports.JobProgress(
            progress.percent, progress.node, progress.preview.data, progress.preview.mime_type
        )
    if kind == "output":
        made = response.output
        return ports.JobOutput(media_from_proto(made.media), made.photographic, made.file_number)
    if kind == "finished":
        return _job_finished(response.finished)
    return None


def _job_finished(finished: generation_pb2.JobFinished) -> ports.JobFinished:
    return ports.JobFinished(
        state=generation_pb2.JobState.Name(finished.state).removeprefix("JOB_STATE_"),
        parameters=_json_object(finished.parameters_json),
        backend=finished.backend,
        model=finished.model,
        backend_job_id=finished.backend_job_id,
        wait_seconds=finished.wait_duration.ToTimedelta().total_seconds(),
        run_seconds=finished.run_duration.ToTimedelta().total_seconds(),
        error_reason=finished.error_reason,
        error_message=finished.error_message,
        warnings=tuple(finished.warnings),
        workflow_sha256=finished.workflow_sha256,
        outputs_reused=finished.outputs_reused,
        texts=tuple(finished.texts),
        error_detail=finished.error_detail,
    )


def _json_object(data: bytes) -> dict[str, object]:
    value = json.loads(data) if data else {}
    return value if isinstance(value, dict) else {}

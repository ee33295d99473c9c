"""Running ideas: start, watch, step, cancel, take up again."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from google.protobuf.duration_pb2 import Duration
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse

from gateway.identity import Person
from gateway.problems import Answers, documented
from gateway.routes.answers import Id, Services, Settings, answers_with, plain
from gateway.streams import live_events, streaming, token_of
from servicekit.channel import ending
from servicekit.context import bind_execution_id
from stellwerk.common.v1.types_pb2 import MediaRef, SafetyLevel
from stellwerk.orchestrator.v1 import event_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb

_EVENTS: Answers = {
    200: {
        "description": "Events until the end, the last one named `done`; `heartbeat` between them "
        "only says that the stream is alive.",
        "content": {
            "text/event-stream": {
                "example": "id: 1-3\nevent: stage_started\n"
                'data: {"execution_id": "019a…", "event": "stage_started", "epoch": 1, '
                '"sequence_number": 3, "stage_started": {"stage": 2}}\n\n'
            }
        },
    }
}

router = APIRouter(prefix="/api/executions", tags=["executions"])

BEGIN_SECONDS = 60.0
"""Until the first event of a run or step: counted from the call, long before any model answers."""
MAX_TEXT = 20_000
_EXECUTION = event_pb2.Execution.DESCRIPTOR


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Image(_Body):
    """A picture that was uploaded before."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="As the upload answered.")


class Wish(_Body):
    """An idea, and what shall become of it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"config": "dada", "texts": ["Eine Blume auf der Wiese"], "safety_level": "kids"}
            ]
        },
    )

    config: str = Field(min_length=1, max_length=128, description="Id of an interception config.")
    texts: list[Annotated[str, Field(max_length=MAX_TEXT)]] = Field(
        default=[], max_length=9, description="The idea; more where the config takes more."
    )
    images: list[Image] = Field(default=[], max_length=9, description="Pictures of the idea.")
    safety_level: Literal["kids", "youth", "adult", "off"] = Field(
        "kids", description="For whom the results must be fit; capped by the caller's role."
    )
    outputs: list[Annotated[str, Field(max_length=128)]] = Field(
        default=[], max_length=8, description="Output configs. Empty: as the config says."
    )
    text_only: bool = Field(False, description="No output, whatever the config says.")
    context: str | None = Field(
        None, max_length=MAX_TEXT, description="An own rule, where the config takes one."
    )
    parameters: dict[Annotated[str, Field(max_length=64)], bool | int | float | str] = Field(
        default={}, max_length=32, description="For every output that knows the name."
    )
    seed: int | None = Field(None, ge=0, lt=2**64, description="For all outputs.")
    language: str = Field(
        "", pattern="^([a-z]{2})?$", description="Of the person, ISO 639-1. Empty: found."
    )
    idempotency_key: str = Field(
        "",
        pattern="^[!-~]{0,128}$",
        description="The same key returns the same execution.",
    )
    step_by_step: bool = Field(
        False, description="Wait for the person after each stage, so that texts can be changed."
    )


class Edit(_Body):
    """A text that the person changed."""

    of_item_id: str = Field(max_length=64, description="The item that holds the text as it was.")
    text: str = Field(min_length=1, max_length=MAX_TEXT, description="The text as it is to be.")
    editing_seconds: float | None = Field(
        None, ge=0, le=86_400, description="How long the person worked on it."
    )


class Step(_Body):
    """A step of a person."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "based_on_item_id": "019a9f6e-52c1-7d40-9f0b-2f3a5e0c7b11",
                    "edits": [
                        {
                            "of_item_id": "019a9f6e-52c1-7d40-9f0b-2f3a5e0c7b11",
                            "text": "Eine Blume tanzt auf der Wiese.",
                            "editing_seconds": 12.5,
                        }
                    ],
                }
            ]
        },
    )

    based_on_item_id: str = Field(
        max_length=64, description="The newest text that the person has seen: `head_item_id`."
    )
    edits: list[Edit] = Field(default=[], max_length=20, description="Texts changed since.")
    loop_iterations: list[Annotated[int, Field(ge=1, le=64)]] = Field(
        default=[], max_length=8, description="Numbers of the outputs. Empty: all."
    )


class Again(_Body):
    """An output that shall be made once more."""

    loop_iteration: int = Field(1, ge=1, le=64, description="Its number.", examples=[1])
    seed: int | None = Field(None, ge=0, lt=2**64, description="Unset: a new one.")


class Begun(BaseModel):
    """An execution that runs now."""

    execution_id: str = Field(
        description="Watch it under this id.", examples=["019a9f6e-52c1-7d40-9f0b-2f3a5e0c7b11"]
    )


@router.post("", status_code=201, responses=documented(400, 401, 403, 404, 409, 413, 422, 429, 503))
async def start(wish: Wish, person: Person, services: Services) -> Begun:
    """Run an idea. It goes on whether or not anybody watches."""
    request = pb.RunExecutionRequest(
        config=wish.config,
        texts=wish.texts,
        images=[MediaRef(sha256=image.sha256) for image in wish.images],
        safety_level=SafetyLevel.Value(f"SAFETY_LEVEL_{wish.safety_level.upper()}"),
        outputs=wish.outputs,
        text_only=wish.text_only,
        context=wish.context,
        parameters={name: json.dumps(value) for name, value in wish.parameters.items()},
        seed=wish.seed,
        language=wish.language,
        idempotency_key=wish.idempotency_key,
        without_text_deltas=True,
    )
    stub = services.orchestrator
    if wish.step_by_step:
        steps = pb.StartExecutionRequest(execution=request)
        return await _begun(stub.StartExecution(steps, timeout=BEGIN_SECONDS))
    return await _begun(stub.RunExecution(request, timeout=BEGIN_SECONDS))


@router.get(
    "/{execution_id}",
    responses=answers_with(_EXECUTION) | documented(401, 404, 422, 503),
    response_class=JSONResponse,
)
async def get(execution_id: Id, person: Person, services: Services) -> JSONResponse:
    """Tell where an execution stands."""
    request = pb.GetExecutionRequest(execution_id=execution_id)
    return plain((await services.orchestrator.GetExecution(request)).execution)


@router.get(
    "/{execution_id}/events",
    response_class=EventSourceResponse,
    responses=_EVENTS | documented(401, 404, 422, 503),
)
async def events(
    request: Request,
    execution_id: Id,
    person: Person,
    services: Services,
    settings: Settings,
    last_event_id: Annotated[
        str | None, Header(max_length=40, description="The id of the last event seen.")
    ] = None,
) -> EventSourceResponse:
    """Stream what happened after `Last-Event-ID`, then what happens, to the end."""
    stream = live_events(
        services,
        execution_id,
        token_of(last_event_id),
        settings.stream_seconds,
        request.app.state.stopping,
    )
    return await streaming(stream, settings.heartbeat_seconds)


_STEP_ERRORS = documented(400, 401, 404, 409, 413, 422, 429, 503)


@router.post("/{execution_id}/intercept", status_code=202, responses=_STEP_ERRORS)
async def intercept(execution_id: Id, step: Step, person: Person, services: Services) -> Begun:
    """Rewrite the idea, after the person has changed it or not."""
    request = pb.InterceptRequest(execution_id=execution_id, **_step(step))
    return await _begun(services.orchestrator.Intercept(request, timeout=BEGIN_SECONDS))


@router.post("/{execution_id}/optimize", status_code=202, responses=_STEP_ERRORS)
async def optimize(execution_id: Id, step: Step, person: Person, services: Services) -> Begun:
    """Fit the text to outputs."""
    request = pb.OptimizeRequest(
        execution_id=execution_id, loop_iterations=step.loop_iterations, **_step(step)
    )
    return await _begun(services.orchestrator.Optimize(request, timeout=BEGIN_SECONDS))


@router.post("/{execution_id}/render", status_code=202, responses=_STEP_ERRORS)
async def render(execution_id: Id, step: Step, person: Person, services: Services) -> Begun:
    """Make the outputs: the last step."""
    request = pb.RenderRequest(
        execution_id=execution_id, loop_iterations=step.loop_iterations, **_step(step)
    )
    return await _begun(services.orchestrator.Render(request, timeout=BEGIN_SECONDS))


@router.post(
    "/{execution_id}/cancel",
    responses=answers_with(_EXECUTION) | documented(401, 404, 422, 503),
    response_class=JSONResponse,
)
async def cancel(execution_id: Id, person: Person, services: Services) -> JSONResponse:
    """End an execution; one that has ended stays as it is."""
    request = pb.CancelExecutionRequest(execution_id=execution_id)
    return plain((await services.orchestrator.CancelExecution(request)).execution)


@router.post("/{execution_id}/resume", status_code=202, responses=_STEP_ERRORS)
async def resume(execution_id: Id, person: Person, services: Services) -> Begun:
    """Go on with an execution that was interrupted."""
    request = pb.ResumeExecutionRequest(execution_id=execution_id)
    return await _begun(services.orchestrator.ResumeExecution(request, timeout=BEGIN_SECONDS))


@router.post("/{execution_id}/regenerate", status_code=201, responses=_STEP_ERRORS)
async def regenerate(execution_id: Id, again: Again, person: Person, services: Services) -> Begun:
    """Make an output once more, as a new execution."""
    request = pb.RegenerateOutputRequest(
        execution_id=execution_id, loop_iteration=again.loop_iteration, seed=again.seed
    )
    return await _begun(services.orchestrator.RegenerateOutput(request, timeout=BEGIN_SECONDS))


async def _begun(call: Any) -> Begun:
    """Wait for the first event; the run goes on without this call."""
    with ending(call):
        async for response in call:
            bind_execution_id(response.event.execution_id)
            return Begun(execution_id=response.event.execution_id)
    raise RuntimeError("a stream of events ended without one")


def _step(step: Step) -> dict[str, Any]:
    return {
        "based_on_item_id": step.based_on_item_id,
        "edits": [_edit(edit) for edit in step.edits],
        "without_text_deltas": True,
    }


def _edit(edit: Edit) -> pb.TextEdit:
    message = pb.TextEdit(of_item_id=edit.of_item_id, text=edit.text)
    if edit.editing_seconds is not None:
        duration = Duration()
        duration.FromMilliseconds(round(edit.editing_seconds * 1000))
        message.editing_duration.CopyFrom(duration)
    return message

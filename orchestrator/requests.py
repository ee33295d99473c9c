"""Reads what people ask for: what the wire cannot rule out is refused here."""

from __future__ import annotations

from orchestrator.converters.words import level_from_proto
from orchestrator.intake import RunRequest, check_text
from orchestrator.model import Mode
from orchestrator.revival import Regeneration
from orchestrator.stages.edits import Edit
from orchestrator.steps import Step, StepKind
from servicekit.errors import InvalidArgumentError
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2


def run_request(request: pb2.RunExecutionRequest, mode: Mode = Mode.WHOLE) -> RunRequest:
    """Return what the caller asks for, to be run in one go or step by step.

    Raises:
        InvalidArgumentError: LEVEL_UNSPECIFIED or ON_DISCONNECT_UNSPECIFIED.
    """
    level = level_from_proto(request.safety_level)
    if level is None:
        raise InvalidArgumentError(
            "LEVEL_UNSPECIFIED",
            "Say for whom the result must be fit: KIDS, YOUTH, ADULT or OFF.",
            field="safety_level",
        )
    cancels_on_disconnect(request)
    return RunRequest(
        config=request.config,
        texts=tuple(request.texts),
        image_hashes=tuple(image.sha256 for image in request.images),
        safety_level=level,
        outputs=tuple(request.outputs),
        text_only=request.text_only,
        context=request.context if request.HasField("context") else None,
        parameters=dict(request.parameters),
        seed=request.seed if request.HasField("seed") else None,
        language=request.language,
        idempotency_key=request.idempotency_key,
        mode=mode,
    )


def step_request(
    kind: StepKind, request: pb2.InterceptRequest | pb2.OptimizeRequest | pb2.RenderRequest
) -> Step:
    """Return a person's step.

    Raises:
        InvalidArgumentError: EMPTY_TEXT or TEXT_TOO_LONG, naming the field.
    """
    edits = []
    for index, edit in enumerate(request.edits):
        check_text(edit.text, f"edits[{index}].text")
        seconds = None
        if edit.HasField("editing_duration"):
            seconds = edit.editing_duration.ToTimedelta().total_seconds()
        edits.append(Edit(edit.of_item_id, edit.text, seconds))
    outputs = () if isinstance(request, pb2.InterceptRequest) else tuple(request.loop_iterations)
    return Step(kind, request.based_on_item_id, tuple(edits), outputs)


def regeneration(request: pb2.RegenerateOutputRequest) -> Regeneration:
    """Return which output is to be made once more."""
    seed = request.seed if request.HasField("seed") else None
    return Regeneration(request.execution_id, request.loop_iteration, seed)


def cancels_on_disconnect(
    request: pb2.RunExecutionRequest | pb2.RegenerateOutputRequest,
) -> bool:
    """Return whether the run ends when its caller goes away; unset means that it goes on.

    Raises:
        InvalidArgumentError: ON_DISCONNECT_UNSPECIFIED.
    """
    if not request.HasField("on_disconnect"):
        return False
    if request.on_disconnect not in (pb2.ON_DISCONNECT_KEEP, pb2.ON_DISCONNECT_CANCEL):
        raise InvalidArgumentError(
            "ON_DISCONNECT_UNSPECIFIED",
            "Say KEEP or CANCEL, or leave it out for KEEP.",
            field="on_disconnect",
        )
    return request.on_disconnect == pb2.ON_DISCONNECT_CANCEL

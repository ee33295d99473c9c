"""Reads a RunExecutionRequest: what the wire cannot rule out is refused here."""

from __future__ import annotations

from orchestrator.converters.words import level_from_proto
from orchestrator.intake import RunRequest
from servicekit.errors import InvalidArgumentError
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2


def run_request(request: pb2.RunExecutionRequest) -> RunRequest:
    """Return what the caller asks for.

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
    )


def cancels_on_disconnect(request: pb2.RunExecutionRequest) -> bool:
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

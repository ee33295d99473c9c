"""Protobuf to domain and back; the only place that knows both."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from generation_service.backends.interface import InputMedia, MediaParameters
from generation_service.media.library import MediaName
from generation_service.text.interface import (
    Picture,
    PromptForm,
    TextDelta,
    TextMessage,
    TextParameters,
    TextRequest,
    TextResult,
    TextTask,
)
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generation_service.media.delivery import Delivered
    from generation_service.media.interface import StoredMedia
    from generation_service.roles import ResolvedRole

MEDIA_TYPES = {
    types_pb2.MEDIA_TYPE_TEXT: "text",
    types_pb2.MEDIA_TYPE_IMAGE: "image",
    types_pb2.MEDIA_TYPE_AUDIO: "audio",
    types_pb2.MEDIA_TYPE_MUSIC: "music",
    types_pb2.MEDIA_TYPE_VIDEO: "video",
    types_pb2.MEDIA_TYPE_THREE_D: "3d",
    types_pb2.MEDIA_TYPE_METADATA: "metadata",
}
"""JSON names of the media; UNSPECIFIED and values of the future are not among them."""

LEVELS = {
    types_pb2.SAFETY_LEVEL_KIDS: "kids",
    types_pb2.SAFETY_LEVEL_YOUTH: "youth",
    types_pb2.SAFETY_LEVEL_ADULT: "adult",
    types_pb2.SAFETY_LEVEL_OFF: "off",
}
"""Words of the safety levels."""

_PROMPT_FORMS = {
    pb.PROMPT_FORM_RAW: PromptForm.RAW,
    pb.PROMPT_FORM_MODERATION: PromptForm.MODERATION,
}
"""Forms other than a chat; UNSPECIFIED is a chat, too."""

_OWN_PARAMETERS = frozenset({"width", "height", "seed", "extra_json", "input_media", "loras"})


def duration(seconds: float) -> Duration:
    """Seconds as a protobuf duration."""
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message


def json_bytes(value: Mapping[str, object]) -> bytes:
    """A JSON object as UTF-8; 64-bit integers stay exact."""
    return json.dumps(dict(value), ensure_ascii=False).encode()


def media_ref(media: StoredMedia) -> types_pb2.MediaRef:
    """A stored file on the wire."""
    return types_pb2.MediaRef(
        uri=media.uri,
        sha256=media.sha256,
        size_bytes=media.size_bytes,
        mime_type=media.mime_type,
        filename=media.filename,
    )


def media_name(key: pb.MediaKey) -> MediaName:
    """How a caller names a file; all empty when they named none."""
    if key.WhichOneof("key") == "sha256":
        return MediaName(sha256=key.sha256)
    return MediaName(execution_id=key.item.execution_id, item_id=key.item.item_id)


def erased_name(request: pb.DeleteMediaRequest) -> MediaName:
    """What is to be erased; all empty when half of an item's name is missing."""
    match request.WhichOneof("target"):
        case "execution_id":
            return MediaName(execution_id=request.execution_id)
        case "upload_sha256":
            return MediaName(sha256=request.upload_sha256)
        case _ if request.item.execution_id and request.item.item_id:
            return MediaName(request.item.execution_id, request.item.item_id)
        case _:
            return MediaName()


def delivery(delivered: Delivered) -> pb.MediaDelivery:
    """What a caller reads, on the wire."""
    return pb.MediaDelivery(
        size_bytes=delivered.size_bytes,
        mime_type=delivered.mime_type,
        marked=delivered.marked,
    )


def media_parameters(message: pb.MediaParameters) -> MediaParameters:
    """Parameters as asked for."""
    others: dict[str, object] = {
        field.name: value
        for field, value in message.ListFields()
        if field.name not in _OWN_PARAMETERS
    }
    if message.loras:
        others["loras"] = [
            {"name": lora.name, "strength": lora.strength if lora.HasField("strength") else 1.0}
            for lora in message.loras
        ]
    return MediaParameters(
        width=message.width if message.HasField("width") else None,
        height=message.height if message.HasField("height") else None,
        seed=message.seed if message.HasField("seed") else None,
        others=others,
        extra=_json_object(message.extra_json),
        input_media=tuple(InputMedia(each.sha256, each.filename) for each in message.input_media),
    )


def _json_object(text: bytes) -> Mapping[str, object] | None:
    """The object; empty for no text, None for anything else."""
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text_request(message: pb.GenerateTextRequest) -> TextRequest:
    """What a model is asked."""
    return TextRequest(
        role=message.role,
        messages=tuple(_text_message(m) for m in message.messages),
        task=_text_task(message.task) if message.HasField("task") else None,
        parameters=_text_parameters(message.parameters),
        model=message.model,
        execution_id=message.execution_id,
        safety_level=LEVELS.get(message.safety_level, ""),
        form=_PROMPT_FORMS.get(message.prompt_form, PromptForm.CHAT),
    )


def _text_message(message: pb.TextMessage) -> TextMessage:
    pictures = tuple(Picture(each.mime_type, each.data) for each in message.pictures)
    return TextMessage(message.role, message.content, pictures)


def _text_task(message: pb.TextTask) -> TextTask:
    return TextTask(
        text=message.text,
        context=message.context,
        source_language=message.source_language,
        target_language=message.target_language,
        config_id=message.config_id,
        chunk_id=message.chunk_id,
    )


def _text_parameters(message: pb.TextParameters) -> TextParameters:
    keep_alive = message.keep_alive_duration
    return TextParameters(
        temperature=message.temperature if message.HasField("temperature") else None,
        top_p=message.top_p if message.HasField("top_p") else None,
        max_tokens=message.max_tokens if message.HasField("max_tokens") else None,
        stop=tuple(message.stop),
        seed=message.seed if message.HasField("seed") else None,
        keep_alive_seconds=(
            keep_alive.ToTimedelta().total_seconds()
            if message.HasField("keep_alive_duration")
            else None
        ),
    )


def text_answer(piece: TextDelta | TextResult) -> pb.GenerateTextResponse:
    """A piece of an answer on the wire."""
    if isinstance(piece, TextDelta):
        return pb.GenerateTextResponse(delta=pb.TextDelta(text=piece.text, restart=piece.restart))
    return pb.GenerateTextResponse(
        result=pb.TextResult(
            text=piece.text,
            messages=[pb.TextMessage(role=m.role, content=m.content) for m in piece.messages],
            parameters_json=json_bytes(piece.parameters),
            model=piece.model,
            backend=piece.backend,
            prompt_token_count=piece.prompt_token_count,
            completion_token_count=piece.completion_token_count,
            run_duration=duration(piece.run_seconds),
            first_token_duration=duration(piece.first_token_seconds),
            finish_reason=piece.finish_reason,
            backend_job_id=piece.backend_job_id,
            switches=[
                pb.BackendSwitch(from_model=s.from_model, to_model=s.to_model, reason=s.reason)
                for s in piece.switches
            ],
            cost=pb.Cost(amount=piece.cost.amount, currency_code=piece.cost.currency)
            if piece.cost
            else None,
        )
    )


def resolved_role(role: ResolvedRole) -> pb.ResolveRoleResponse:
    """What a role means, on the wire."""
    return pb.ResolveRoleResponse(
        model=role.model,
        backend=role.backend,
        fallback_models=role.fallback_models,
        leaves_site=role.leaves_site,
        profile=role.profile,
        follows_instructions=role.follows_instructions,
        guard=role.guard,
        server_template=role.server_template,
    )

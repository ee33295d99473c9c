"""The chat API that OpenAI began and vLLM, llama.cpp, LM Studio, OpenRouter and others speak."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from generation_service.text.costs import Cost
from generation_service.text.http_backend import Piece
from generation_service.text.interface import (
    ModelAnswerInvalidError,
    ModelBusyError,
    ModelUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generation_service.text.interface import (
        Picture,
        TextMessage,
        TextParameters,
        TextRequest,
    )

_END = b"[DONE]"
_TOO_MANY = 429


class OpenAIDialect:
    """Speaks `/chat/completions`: server-sent events, the last one `[DONE]`."""

    name = "openai"
    path = "chat/completions"

    def missing_hint(self, model: str) -> str:
        """What there is differs from server to server."""
        return "The server's own list of models has the right name."

    def body(self, model: str, request: TextRequest) -> bytes:
        """Write the request; what is unset is left to the server."""
        content: dict[str, object] = {
            "model": model,
            "messages": [_message(message) for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            **_options(request.parameters),
        }
        return json.dumps(content, ensure_ascii=False).encode()

    def applied(self, request: TextRequest) -> Mapping[str, object]:
        """Tell the parameters as sent; `keep_alive` has no place in this API."""
        return _options(request.parameters)

    def read(self, line: bytes) -> Piece | None:
        """Read one line of the stream; comments and other fields mean nothing to us."""
        if not line.startswith(b"data:"):
            _check_field(line)
            return None
        data = line.removeprefix(b"data:").strip()
        if data == _END:
            return Piece(done=True)
        try:
            chunk = _Chunk.model_validate_json(data)
        except ValidationError as exc:
            raise ModelAnswerInvalidError("The server's answer cannot be read.") from exc
        if chunk.error is not None:
            raise _stream_error(chunk.error)
        return _piece(chunk)


class OpenAIRawDialect(OpenAIDialect):
    """Speaks `/completions`: the prompt reaches the model without any template."""

    path = "completions"

    def body(self, model: str, request: TextRequest) -> bytes:
        """Write the request; its only message is the prompt."""
        content: dict[str, object] = {
            "model": model,
            "prompt": request.messages[0].content,
            "stream": True,
            "stream_options": {"include_usage": True},
            **_options(request.parameters),
        }
        return json.dumps(content, ensure_ascii=False).encode()


class _Delta(BaseModel):
    model_config = ConfigDict(strict=True)

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(BaseModel):
    model_config = ConfigDict(strict=True)

    delta: _Delta = Field(default_factory=_Delta)
    text: str | None = None  # of a completion, which has no delta
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    """OpenRouter's addition: what was charged, in US dollars."""


class _Error(BaseModel):
    code: int | str | None = None


class _Chunk(BaseModel):
    id: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: _Error | None = None


def picture_url(picture: Picture) -> str:
    """A picture as an address that holds it."""
    return f"data:{picture.mime_type};base64,{base64.b64encode(picture.data).decode()}"


def _message(message: TextMessage) -> dict[str, object]:
    if not message.pictures:
        return {"role": message.role, "content": message.content}
    parts: list[dict[str, object]] = [{"type": "text", "text": message.content}]
    parts += [
        {"type": "image_url", "image_url": {"url": picture_url(picture)}}
        for picture in message.pictures
    ]
    return {"role": message.role, "content": parts}


def _options(parameters: TextParameters) -> dict[str, object]:
    """The parameters that are set, by this API's names."""
    options: dict[str, object] = {}
    if parameters.temperature is not None:
        options["temperature"] = parameters.temperature
    if parameters.top_p is not None:
        options["top_p"] = parameters.top_p
    if parameters.max_tokens is not None:
        options["max_tokens"] = parameters.max_tokens
    if parameters.stop:
        options["stop"] = list(parameters.stop)
    if parameters.seed is not None:
        options["seed"] = parameters.seed
    return options


def _check_field(line: bytes) -> None:
    """Accept what the event-stream format allows beside data, refuse the rest."""
    if line and not line.startswith((b":", b"event:", b"id:", b"retry:")):
        raise ModelAnswerInvalidError("The server's answer is not a stream of events.")


def _stream_error(error: _Error) -> ModelBusyError | ModelUnavailableError:
    if str(error.code) == str(_TOO_MANY):
        return ModelBusyError("The model's server is busy.")
    return ModelUnavailableError("The model's server gave up on the answer.")


def _piece(chunk: _Chunk) -> Piece:
    """Take a chunk apart; the one with the usage has no choices."""
    if chunk.choices is None and chunk.usage is None:
        raise ModelAnswerInvalidError("A part of the server's answer has no choices.")
    choice = chunk.choices[0] if chunk.choices else _Choice()
    usage = chunk.usage or _Usage()
    return Piece(
        text=choice.delta.content or choice.text or "",
        thinking=bool(choice.delta.reasoning or choice.delta.reasoning_content),
        finish_reason=choice.finish_reason or "",
        prompt_token_count=usage.prompt_tokens,
        completion_token_count=usage.completion_tokens,
        backend_job_id=chunk.id or "",
        cost=None if usage.cost is None else Cost(usage.cost, "USD"),
    )

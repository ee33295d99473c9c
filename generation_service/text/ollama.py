"""Ollama's native chat API: it alone takes `keep_alive` and tells when a model is loaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from generation_service.text.http_backend import Piece
from generation_service.text.interface import ModelAnswerInvalidError, ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generation_service.text.interface import TextParameters, TextRequest


class OllamaDialect:
    """Speaks `/api/chat`: one JSON object per line, the last with `done`."""

    name = "ollama"
    path = "/api/chat"

    def body(self, model: str, request: TextRequest) -> bytes:
        """Write the request; what is unset is left to the model's own file."""
        content: dict[str, object] = {
            "model": model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "stream": True,
        }
        if options := _options(request.parameters):
            content["options"] = options
        if request.parameters.keep_alive_seconds is not None:
            content["keep_alive"] = _keep_alive(request.parameters.keep_alive_seconds)
        return json.dumps(content, ensure_ascii=False).encode()

    def applied(self, request: TextRequest) -> Mapping[str, object]:
        """Tell the options as sent."""
        applied = _options(request.parameters)
        if request.parameters.keep_alive_seconds is not None:
            applied["keep_alive"] = _keep_alive(request.parameters.keep_alive_seconds)
        return applied

    def read(self, line: bytes) -> Piece | None:
        """Read one line of the answer."""
        if not line:
            return None
        try:
            chunk = _Chunk.model_validate_json(line)
        except ValidationError as exc:
            raise ModelAnswerInvalidError("Ollama's answer cannot be read.") from exc
        if chunk.error is not None:
            raise ModelUnavailableError("Ollama gave up on the answer.")
        if chunk.message is None and not chunk.done:
            raise ModelAnswerInvalidError("A line of Ollama's answer has no message.")
        return Piece(
            text=chunk.message.content if chunk.message else "",
            thinking=bool(chunk.message and chunk.message.thinking),
            done=chunk.done,
            finish_reason=chunk.done_reason or "",
            prompt_token_count=chunk.prompt_eval_count,
            completion_token_count=chunk.eval_count,
        )


class _Message(BaseModel):
    model_config = ConfigDict(strict=True)

    content: str = ""
    thinking: str | None = None


class _Chunk(BaseModel):
    model_config = ConfigDict(strict=True)

    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: str | None = None


def _options(parameters: TextParameters) -> dict[str, object]:
    """The parameters that are set, by Ollama's names."""
    options: dict[str, object] = {}
    if parameters.temperature is not None:
        options["temperature"] = parameters.temperature
    if parameters.top_p is not None:
        options["top_p"] = parameters.top_p
    if parameters.max_tokens is not None:
        options["num_predict"] = parameters.max_tokens
    if parameters.stop:
        options["stop"] = list(parameters.stop)
    if parameters.seed is not None:
        options["seed"] = parameters.seed
    return options


def _keep_alive(seconds: float) -> str:
    """Ollama reads a duration such as `300s`."""
    return f"{seconds:g}s"

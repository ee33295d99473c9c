"""Ollama's native chat API: it alone takes `keep_alive` and tells when a model is loaded."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, TypedDict

from pydantic import BaseModel, ConfigDict, ValidationError

from generation_service.text.http_backend import Piece
from generation_service.text.interface import ModelAnswerInvalidError, ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generation_service.text.interface import TextMessage, TextParameters, TextRequest


class OllamaDialect:
    """Speaks `/api/chat`: one JSON object per line, the last with `done`."""

    name = "ollama"
    path = "/api/chat"

    def missing_hint(self, model: str) -> str:
        """Ollama has what was pulled."""
        return f"Fetch it where Ollama runs: ollama pull {model}"

    def body(self, model: str, request: TextRequest) -> bytes:
        """Write the request; what is unset is left to the model's own file."""
        content: dict[str, object] = {
            "model": model,
            "messages": [_message(message) for message in request.messages],
            **_settings(request.parameters),
        }
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
            **_counts(chunk),
        )


class OllamaRawDialect(OllamaDialect):
    """Speaks `/api/generate` with `raw`: the prompt reaches the model without any template."""

    path = "/api/generate"

    def body(self, model: str, request: TextRequest) -> bytes:
        """Write the request; its only message is the prompt."""
        content = {
            "model": model,
            "prompt": request.messages[0].content,
            "raw": True,
            **_settings(request.parameters),
        }
        return json.dumps(content, ensure_ascii=False).encode()

    def read(self, line: bytes) -> Piece | None:
        """Read one line of the answer: as in a chat, but for where the text is."""
        if not line:
            return None
        try:
            chunk = _RawChunk.model_validate_json(line)
        except ValidationError as exc:
            raise ModelAnswerInvalidError("Ollama's answer cannot be read.") from exc
        if chunk.error is not None:
            raise ModelUnavailableError("Ollama gave up on the answer.")
        if chunk.response is None and not chunk.done:
            raise ModelAnswerInvalidError("A line of Ollama's answer has no text.")
        return Piece(text=chunk.response or "", **_counts(chunk))


class _Message(BaseModel):
    model_config = ConfigDict(strict=True)

    content: str = ""
    thinking: str | None = None


class _Line(BaseModel):
    model_config = ConfigDict(strict=True)

    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: str | None = None


class _Chunk(_Line):
    message: _Message | None = None


class _RawChunk(_Line):
    response: str | None = None


class _Counts(TypedDict):
    done: bool
    finish_reason: str
    prompt_token_count: int | None
    completion_token_count: int | None


def _counts(line: _Line) -> _Counts:
    """What every line may tell, by the names of a piece."""
    return {
        "done": line.done,
        "finish_reason": line.done_reason or "",
        "prompt_token_count": line.prompt_eval_count,
        "completion_token_count": line.eval_count,
    }


def _message(message: TextMessage) -> dict[str, object]:
    content: dict[str, object] = {"role": message.role, "content": message.content}
    if message.pictures:
        content["images"] = [base64.b64encode(p.data).decode() for p in message.pictures]
    return content


def _settings(parameters: TextParameters) -> dict[str, object]:
    """How to answer, at its places in the request."""
    settings: dict[str, object] = {"stream": True}
    if options := _options(parameters):
        settings["options"] = options
    if parameters.keep_alive_seconds is not None:
        settings["keep_alive"] = _keep_alive(parameters.keep_alive_seconds)
    return settings


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

"""One question to llama.cpp in the child process, and how its answer reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from generation_service.text.http_backend import Piece
from generation_service.text.interface import ModelAnswerInvalidError, ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generation_service.text.embedded.steps import Prompt
    from generation_service.text.interface import TextParameters

_SEEDS = 2**32 - 1
"""llama.cpp takes 32 bits, and reads the highest number as "any seed"."""


class CompletionStream:
    """Reads llama.cpp's own completion API: server-sent events, the last with `stop`."""

    path = "/completion"

    def missing_hint(self, model: str) -> str:
        """The child serves the one model that it was started with."""
        return ""

    def read(self, line: bytes) -> Piece | None:
        """Read one line of the stream."""
        if not line.startswith(b"data:"):
            return None
        try:
            chunk = _Chunk.model_validate_json(line.removeprefix(b"data:"))
        except ValidationError as exc:
            raise ModelAnswerInvalidError("The embedded model's answer cannot be read.") from exc
        if chunk.error is not None:
            raise ModelUnavailableError("The embedded model gave up on the answer.")
        return Piece(
            text=chunk.content,
            done=chunk.stop,
            finish_reason=("length" if chunk.stop_type == "limit" else "stop")
            if chunk.stop
            else "",
            prompt_token_count=chunk.tokens_evaluated if chunk.stop else None,
            completion_token_count=chunk.tokens_predicted if chunk.stop else None,
        )


class _Chunk(BaseModel):
    model_config = ConfigDict(strict=True)

    content: str = ""
    stop: bool = False
    stop_type: str = ""
    tokens_evaluated: int | None = None
    tokens_predicted: int | None = None
    error: object = None


def sampling_options(
    prompt: Prompt, parameters: TextParameters, seed: int, attempt: int
) -> dict[str, object]:
    """Merge what the caller wants with what the small model can bear.

    Args:
        prompt: Brings its role's sampling.
        parameters: The caller's; the temperature is cut to the role's highest.
        seed: The request's seed.
        attempt: 0 for the first; later ones get another seed and the role's own temperature.
    """
    sampling = prompt.sampling
    wanted = sampling.temperature if parameters.temperature is None else parameters.temperature
    temperature = min(wanted, sampling.max_temperature)
    if attempt:
        temperature = sampling.retry_temperature
    return {
        "temperature": temperature,
        "top_p": sampling.top_p if parameters.top_p is None else parameters.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "dry_multiplier": sampling.dry_multiplier,
        "n_predict": min(prompt.max_tokens, parameters.max_tokens or prompt.max_tokens),
        "stop": ["\n", *parameters.stop],
        "seed": (seed + attempt) % _SEEDS,
    }


def completion_body(prompt: Prompt, options: Mapping[str, object]) -> bytes:
    """Write the request of one completion."""
    content = {
        "prompt": prompt.examples + prompt.tail,
        "stream": True,
        "cache_prompt": True,
        **options,
    }
    return json.dumps(content, ensure_ascii=False).encode()

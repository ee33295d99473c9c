"""A fake OpenAI-compatible server: `/v1/chat/completions`, server-sent events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes.text_server import TextServer

if TYPE_CHECKING:
    from tests.fakes.text_server import Json


class FakeOpenAI(TextServer):
    """Answers as vLLM and OpenRouter document; the base URL is `.base_url`, which ends in `/v1`."""

    path = "/v1/chat/completions"
    content_type = "text/event-stream"
    cost: float | None = None
    """What it says that an answer cost, as OpenRouter does; None: it says nothing."""

    @property
    def base_url(self) -> str:
        """What clients take as base URL."""
        return f"{self.url}/v1"

    def line(self, content: Json) -> bytes:
        """One event; before it a comment, as OpenRouter sends while a model is loading."""
        return b": PROCESSING\n\ndata: " + json.dumps(content).encode() + b"\n\n"

    def token(self, model: str, text: str) -> Json:
        """A chunk with one choice."""
        return self._chunk(model, [{"index": 0, "delta": {"content": text}}])

    def end(self, model: str, prompt_tokens: int, completion_tokens: int) -> list[bytes]:
        """The reason of the end, the usage, and the mark of the end."""
        finish = self._chunk(model, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        usage = self._chunk(model, [])
        usage["usage"] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }
        if self.cost is not None:
            usage["usage"]["cost"] = self.cost
        return [self.line(finish), self.line(usage), b"data: [DONE]\n\n"]

    def inner_error(self) -> Json:
        """What OpenRouter writes when the provider fails after the first token."""
        return {"error": {"code": 502, "message": "a fake error"}}

    def _chunk(self, model: str, choices: list[Json]) -> Json:
        return {
            "id": "chatcmpl-fake",
            "object": "chat.completion.chunk",
            "created": 1767225600,
            "model": model,
            "choices": choices,
        }

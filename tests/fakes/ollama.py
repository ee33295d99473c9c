"""A fake Ollama: `/api/chat`, newline-delimited JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes.text_server import TextServer

if TYPE_CHECKING:
    from tests.fakes.text_server import Json


class FakeOllama(TextServer):
    """Answers as the API documentation of Ollama says; see `TextServer` for its switches."""

    path = "/api/chat"
    content_type = "application/x-ndjson"

    def line(self, content: Json) -> bytes:
        """One JSON object and a line feed."""
        return json.dumps(content).encode() + b"\n"

    def token(self, model: str, text: str) -> Json:
        """An object that is not done."""
        return {
            "model": model,
            "created_at": "2026-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": text},
            "done": False,
        }

    def end(self, model: str, prompt_tokens: int, completion_tokens: int) -> list[bytes]:
        """The object that is done, with the counts."""
        last = {
            "model": model,
            "created_at": "2026-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "total_duration": 1_000_000,
            "load_duration": 1000,
            "prompt_eval_count": prompt_tokens,
            "prompt_eval_duration": 1000,
            "eval_count": completion_tokens,
            "eval_duration": 1000,
        }
        return [self.line(last)]

    def inner_error(self) -> Json:
        """What Ollama writes when its runner dies."""
        return {"error": "llama runner process has terminated"}

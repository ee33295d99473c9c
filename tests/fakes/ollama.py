"""A fake Ollama: `/api/chat`, newline-delimited JSON, and what loads models ahead."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aiohttp import web

from tests.fakes.text_server import TextServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.text_server import Json


class FakeOllama(TextServer):
    """Answers as the API documentation of Ollama says; see `TextServer` for its switches.

    Attributes:
        pulled: Sizes in bytes of the models that it lists, by name.
        loaded: Models that were loaded without a prompt, in order.
    """

    path = "/api/chat"
    content_type = "application/x-ndjson"
    pulled: Mapping[str, int] = {}

    def routes(self) -> list[web.RouteDef]:
        """The list of models and their loading, too."""
        self.loaded: list[str] = []
        return [
            *super().routes(),
            web.get("/api/tags", self._tags),
            web.post("/api/generate", self._load),
        ]

    async def _tags(self, request: web.Request) -> web.Response:
        models = [{"name": name, "size": size} for name, size in self.pulled.items()]
        return web.json_response({"models": models})

    async def _load(self, request: web.Request) -> web.Response:
        model = str((await request.json())["model"])
        self.loaded.append(model)
        return web.json_response({"model": model, "done": True, "done_reason": "load"})

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

"""Fake servers of guard models: those that take raw prompts, and OpenAI's moderation endpoint.

Written after the published formats of the servers; no exchange with a real one was recorded.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes.ollama import FakeOllama
from tests.fakes.openai import FakeOpenAI
from tests.fakes.text_server import Fault, TextServer

if TYPE_CHECKING:
    from tests.fakes.text_server import Json, Recorded


class FakeRawOllama(FakeOllama):
    """`/api/generate` with `raw`: the answer stands in `response` instead of in a message."""

    path = "/api/generate"

    def routes(self) -> list[web.RouteDef]:
        """Raw prompts only."""
        return [web.post(self.path, self._handle)]

    def token(self, model: str, text: str) -> Json:
        """An object that is not done."""
        return {
            "model": model,
            "created_at": "2026-01-01T00:00:00Z",
            "response": text,
            "done": False,
        }

    def end(self, model: str, prompt_tokens: int, completion_tokens: int) -> list[bytes]:
        """The object that is done, with the counts."""
        last = {
            **self.token(model, ""),
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": prompt_tokens,
            "eval_count": completion_tokens,
        }
        return [self.line(last)]


class FakeRawOpenAI(FakeOpenAI):
    """`/v1/completions`: a choice has a text instead of a delta."""

    path = "/v1/completions"
    finish_reason = "stop"

    def token(self, model: str, text: str) -> Json:
        """A chunk with one choice."""
        return _chunk(model, {"index": 0, "text": text, "finish_reason": None})

    def end(self, model: str, prompt_tokens: int, completion_tokens: int) -> list[bytes]:
        """The reason of the end, and the mark of the end."""
        last = _chunk(model, {"index": 0, "text": "", "finish_reason": self.finish_reason})
        return [self.line(last), b"data: [DONE]\n\n"]


class FakeModeration(TextServer):
    """`/v1/moderations`: one JSON object over many lines, and no stream."""

    path = "/v1/moderations"

    def __init__(self, flagged: dict[str, float] | None = None) -> None:
        """Make a server.

        Args:
            flagged: Scores of the categories that it flags.
        """
        super().__init__()
        self.flagged = flagged or {}

    @property
    def base_url(self) -> str:
        """What clients take as base URL."""
        return f"{self.url}/v1"

    async def _stream(
        self, request: web.Request, recorded: Recorded, fault: Fault | None, model: str
    ) -> web.StreamResponse:
        if fault in (Fault.HANG_BEFORE, Fault.HANG_BETWEEN):
            await asyncio.Event().wait()
        body = json.dumps(moderation_answer(model, self.flagged), indent=2)
        match fault:
            case Fault.EMPTY:
                body = ""
            case Fault.NONSENSE:
                body = "<html>{never closed</html>"
            case Fault.CUT:
                body = body[: len(body) // 2]
            case Fault.ERROR_INSIDE:
                body = '{"error": {"message": "a fake error"}}'
        return web.Response(text=body, content_type="application/json")


def moderation_answer(model: str, flagged: dict[str, float]) -> dict[str, Any]:
    """The object that the endpoint answers with, after its reference."""
    categories = ["harassment", "hate", "self-harm", "sexual", "violence", "violence/graphic"]
    return {
        "id": "modr-fake",
        "model": model,
        "results": [
            {
                "flagged": bool(flagged),
                "categories": {name: name in flagged for name in categories},
                "category_scores": {name: flagged.get(name, 0.0001) for name in categories},
                "category_applied_input_types": {name: ["text"] for name in categories},
            }
        ],
    }


def _chunk(model: str, choice: Json) -> Json:
    return {
        "id": "cmpl-fake",
        "object": "text_completion",
        "created": 1767225600,
        "model": model,
        "choices": [choice],
    }

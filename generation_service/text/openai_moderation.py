"""OpenAI's moderation endpoint: no chat and no stream, one JSON object about one text or picture.

It is asked like any model, so that roles, keys, limits and errors are those of all models; the
answer is the server's JSON, which whoever asks reads strictly.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from generation_service.text.http_backend import Piece
from generation_service.text.interface import ModelAnswerInvalidError
from generation_service.text.openai import picture_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generation_service.text.interface import TextRequest

_MAX_ANSWER_BYTES = 64 * 1024
"""An answer has about 2 KiB."""


class OpenAIModerationDialect:
    """Speaks `/moderations`. One object per request: it gathers the lines of the answer."""

    name = "openai"
    path = "moderations"

    def __init__(self) -> None:
        """Have read nothing yet."""
        self._answer = b""

    def missing_hint(self, model: str) -> str:
        """Few servers have this endpoint at all."""
        return "OpenAI's own is `omni-moderation-latest`; not every server has the endpoint."

    def body(self, model: str, request: TextRequest) -> bytes:
        """Write the request; its only message is what is judged."""
        message = request.messages[0]
        judged: object = message.content
        if message.pictures:
            parts: list[dict[str, object]] = [
                {"type": "image_url", "image_url": {"url": picture_url(picture)}}
                for picture in message.pictures
            ]
            text = [{"type": "text", "text": message.content}] if message.content else []
            judged = [*text, *parts]
        return json.dumps({"model": model, "input": judged}, ensure_ascii=False).encode()

    def applied(self, request: TextRequest) -> Mapping[str, object]:
        """Tell that there is nothing to be set."""
        return {}

    def read(self, line: bytes) -> Piece | None:
        """Add a line of the answer, which may be printed over many; tell it when it is whole."""
        self._answer += line
        if len(self._answer) > _MAX_ANSWER_BYTES:
            raise ModelAnswerInvalidError("The server's answer is too long.")
        if not line.endswith(b"}"):
            return None
        try:
            content = json.loads(self._answer)
        except ValueError:
            return None  # the brace closed something inside
        return Piece(text=json.dumps(content), done=True, finish_reason="stop")

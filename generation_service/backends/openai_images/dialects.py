"""The two ways of asking for a picture: the images API, and a chat whose answer holds pictures.

Each knows what it sends, which parameters that covers, and where pictures are in the answer.
Servers differ in small things, so answers are read liberally.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from generation_service.backends.openai_images.options import (
    AnswerInvalidError,
    ServiceRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Json = Mapping[str, Any]

# These always answer with base64 and refuse to be asked for it.
_ALWAYS_BASE64 = ("gpt-image", "chatgpt-image")
_IMAGE_PARAMETERS = ("size", "quality", "style", "background", "output_format", "moderation")
_CHAT_PARAMETERS = ("seed", "temperature", "aspect_ratio")


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        pictures: Each a base64 text, a `data:` URL or an address.
        texts: Prompts as the service rewrote them, or what it said beside the pictures.
        request_id: Its own id; empty: not told.
    """

    pictures: tuple[str, ...] = field(repr=False)
    texts: tuple[str, ...] = ()
    request_id: str = ""


class Dialect(Protocol):
    """One way of asking."""

    @property
    def path(self) -> str:
        """Below the base URL."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that it can send."""

    def body(self, model: str, prompt: str, applied: Json) -> dict[str, object]:
        """Write the request."""

    def read(self, answer: Json) -> Answer:
        """Find the pictures.

        Raises:
            AnswerInvalidError: It cannot be read or holds none.
            ServiceRefusedError: The service says that it would not.
        """


class ImagesDialect:
    """`/images/generations`."""

    path = "images/generations"
    parameters = _IMAGE_PARAMETERS

    def body(self, model: str, prompt: str, applied: Json) -> dict[str, object]:
        """See `Dialect.body`."""
        content: dict[str, object] = {"model": model, "prompt": prompt, "n": 1, **applied}
        if not model.startswith(_ALWAYS_BASE64):
            content["response_format"] = "b64_json"
        return content

    def read(self, answer: Json) -> Answer:
        """See `Dialect.read`."""
        entries = [entry for entry in _list(answer.get("data")) if isinstance(entry, dict)]
        pictures = [_text(entry.get("b64_json")) or _text(entry.get("url")) for entry in entries]
        texts = [_text(entry.get("revised_prompt")) for entry in entries]
        return _answer(answer, pictures, texts)


class ChatDialect:
    """`/chat/completions` with pictures in the answer, as OpenRouter has it."""

    path = "chat/completions"
    parameters = _CHAT_PARAMETERS

    def body(self, model: str, prompt: str, applied: Json) -> dict[str, object]:
        """See `Dialect.body`."""
        content: dict[str, object] = {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "modalities": ["image", "text"],
            "stream": False,
            **{name: value for name, value in applied.items() if name != "aspect_ratio"},
        }
        if "aspect_ratio" in applied:
            content["image_config"] = {"aspect_ratio": applied["aspect_ratio"]}
        return content

    def read(self, answer: Json) -> Answer:
        """See `Dialect.read`."""
        choices = _list(answer.get("choices"))
        choice = choices[0] if choices and isinstance(choices[0], dict) else {}
        message = choice.get("message")
        message = message if isinstance(message, dict) else {}
        if message.get("refusal") or choice.get("finish_reason") == "content_filter":
            raise prompt_refused()
        content = message.get("content")
        parts = [*_list(message.get("images")), *_list(content)]
        texts = [content] if isinstance(content, str) else list(_texts(parts))
        return _answer(answer, list(_pictures(parts)), texts)


DIALECTS: dict[str, Dialect] = {"images": ImagesDialect(), "chat": ChatDialect()}
"""By the first part of a model's name: `images/gpt-image-1`, `chat/google/gemini-…`."""


def prompt_refused() -> ServiceRefusedError:
    """Make the error for a prompt that the service's own rules forbid."""
    return ServiceRefusedError(
        "The picture service does not make a picture of this text; change the text.",
        reason="PROMPT_REFUSED",
    )


def _answer(answer: Json, pictures: list[str], texts: list[str]) -> Answer:
    found = tuple(picture for picture in pictures if picture)
    if not found:
        raise AnswerInvalidError("The picture service's answer holds no picture.")
    return Answer(
        pictures=found,
        texts=tuple(text for text in texts if text.strip()),
        request_id=_text(answer.get("id"))[:200],
    )


def _pictures(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        if not isinstance(part, dict):
            continue
        link = part.get("image_url")
        yield _text(link.get("url") if isinstance(link, dict) else link)
        yield _text(part.get("b64_json"))


def _texts(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, dict):
            yield _text(part.get("text"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

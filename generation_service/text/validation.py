"""What a request for a text must be, whatever model will answer it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generation_service.text.interface import PromptForm
from servicekit.errors import InvalidArgumentError

if TYPE_CHECKING:
    from generation_service.text.interface import TextParameters, TextRequest

MAX_TEXT_CHARS = 100_000
"""Code points of all messages together."""

MAX_PICTURES = 2
MAX_PICTURE_BYTES = 1024 * 1024
PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp")

MAX_STOPS = 16
MAX_STOP_CHARS = 200
MAX_TOKENS = 32_768

_MESSAGE_ROLES = ("system", "user", "assistant")

Fault = tuple[str, str, str]
"""Reason, field, what is wrong with it."""


def check_request(request: TextRequest) -> None:
    """Refuse a request that no model should see.

    Raises:
        InvalidArgumentError: With a violation per fault; its reason is the first one's.
    """
    faults = [*_message_faults(request), *_parameter_faults(request.parameters)]
    if faults:
        reason, _, message = faults[0]
        raise InvalidArgumentError(
            reason, message, violations=[(field, text) for _, field, text in faults]
        )


def _message_faults(request: TextRequest) -> list[Fault]:
    faults: list[Fault] = []
    if not request.role:
        faults.append(("ROLE_MISSING", "role", "Name the role that the text is for."))
    if not request.messages:
        faults.append(("NO_MESSAGES", "messages", "Send at least one message."))
    for number, message in enumerate(request.messages):
        if message.role not in _MESSAGE_ROLES:
            allowed = "system, user or assistant"
            field = f"messages[{number}].role"
            faults.append(("MESSAGE_ROLE_INVALID", field, f"A message's role is {allowed}."))
    texts: list[tuple[str, int]] = [
        ("messages", sum(len(message.content) for message in request.messages))
    ]
    if request.task is not None:
        texts.append(("task", len(request.task.text) + len(request.task.context)))
    faults += [
        ("TEXT_TOO_LONG", field, f"At most {MAX_TEXT_CHARS} code points are allowed.")
        for field, size in texts
        if size > MAX_TEXT_CHARS
    ]
    return faults + _form_faults(request)


def _form_faults(request: TextRequest) -> list[Fault]:
    """What only holds for some forms: raw prompts are one text, pictures are for who can see."""
    faults: list[Fault] = []
    if request.form is not PromptForm.CHAT and len(request.messages) > 1:
        text = "A raw prompt, or what is moderated, is one message."
        faults.append(("TOO_MANY_MESSAGES", "messages", text))
    pictures = [picture for message in request.messages for picture in message.pictures]
    if pictures and request.form is PromptForm.RAW:
        text = "A raw prompt has no place for pictures."
        faults.append(("PICTURES_INVALID", "messages", text))
    elif len(pictures) > MAX_PICTURES or any(
        picture.mime_type not in PICTURE_TYPES or not 0 < len(picture.data) <= MAX_PICTURE_BYTES
        for picture in pictures
    ):
        text = f"At most {MAX_PICTURES} pictures, JPEG, PNG or WebP, of 1 MiB each."
        faults.append(("PICTURES_INVALID", "messages", text))
    return faults


def _parameter_faults(parameters: TextParameters) -> list[Fault]:
    stops = parameters.stop
    keep_alive = parameters.keep_alive_seconds
    checks = [
        ("temperature", _within(parameters.temperature, 0, 2), "0 to 2"),
        ("top_p", _within(parameters.top_p, 0, 1), "0 to 1"),
        ("max_tokens", _within(parameters.max_tokens, 1, MAX_TOKENS), f"1 to {MAX_TOKENS}"),
        ("seed", _within(parameters.seed, 0, 2**64 - 1), "0 to 2^64 - 1"),
        ("keep_alive_duration", _within(keep_alive, 0, 86_400), "0 s to 24 h"),
        (
            "stop",
            len(stops) <= MAX_STOPS and all(0 < len(s) <= MAX_STOP_CHARS for s in stops),
            f"at most {MAX_STOPS} texts of 1 to {MAX_STOP_CHARS} code points",
        ),
    ]
    return [
        ("PARAMETER_OUT_OF_RANGE", f"parameters.{name}", f"Allowed is {allowed}.")
        for name, fine, allowed in checks
        if not fine
    ]


def _within(value: float | None, low: float, high: float) -> bool:
    """Whether an optional number is in its range; not-a-number is in none."""
    return value is None or low <= value <= high

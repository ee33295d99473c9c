"""What a text backend is asked and what it answers.

The servicer, the roles and the backends meet here, so that none of them knows another: a backend
gets a model's name and a request, streams deltas and ends with one result. Nothing in here knows
gRPC, HTTP or a particular engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from servicekit.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from generation_service.text.costs import Cost

RETRY_SECONDS = 2.0
"""When to ask a busy or unreachable model again; a guess, since no backend tells."""


class PromptForm(StrEnum):
    """How the messages reach the model."""

    CHAT = "chat"
    """Put into the model's own chat template by its server."""

    RAW = "raw"
    """As they are: the caller has rendered the model's template."""

    MODERATION = "moderation"
    """To the server's moderation endpoint; the answer is its JSON."""


@dataclass(frozen=True)
class Picture:
    """A small picture for a model that sees.

    Attributes:
        mime_type: Such as `image/jpeg`.
        data: Its bytes.
    """

    mime_type: str
    data: bytes


@dataclass(frozen=True)
class TextMessage:
    """One message of a conversation.

    Attributes:
        role: `system`, `user` or `assistant`.
        content: The text, sent as it is.
        pictures: What is shown with the text.
    """

    role: str
    content: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class TextTask:
    """The parts from which the messages were rendered, for models that only complete texts.

    Attributes:
        text: The text to work on.
        context: The rule to work by; empty: none.
        source_language: ISO 639-1 code of the text's language; empty: unknown.
        target_language: ISO 639-1 code of the wanted language; empty: the same.
        config_id: Id of the config on whose behalf the model is asked; empty: none.
        chunk_id: Id of the chunk that was rendered; empty: none.
    """

    text: str
    context: str = ""
    source_language: str = ""
    target_language: str = ""
    config_id: str = ""
    chunk_id: str = ""


@dataclass(frozen=True)
class TextParameters:
    """Sampling parameters; None or empty leaves it to the model's own default.

    Attributes:
        temperature: 0 to 2.
        top_p: 0 to 1.
        max_tokens: Most tokens in the answer, 1 to 32 768.
        stop: Texts that end the answer, at most 16.
        seed: Seed for sampling, 64 bits unsigned.
        keep_alive_seconds: How long the server keeps the model loaded afterwards, in seconds.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    keep_alive_seconds: float | None = None


@dataclass(frozen=True)
class TextRequest:
    """What a model is asked.

    Attributes:
        role: The role whose model is asked.
        messages: What a model that follows instructions is sent, byte for byte.
        task: The parts of the messages; needed by models that only complete texts.
        parameters: How to answer.
        model: A model by name instead of the role's own, `<backend>/<model>`; empty: the role's.
        execution_id: The execution that it is for, for logs; empty: none.
        safety_level: Its level, such as `kids`; empty: not told, so the strictest.
        form: How the messages reach the model.
    """

    role: str
    messages: tuple[TextMessage, ...]
    task: TextTask | None = None
    parameters: TextParameters = field(default_factory=TextParameters)
    model: str = ""
    execution_id: str = ""
    safety_level: str = ""
    form: PromptForm = PromptForm.CHAT


@dataclass(frozen=True)
class TextDelta:
    """A piece of an answer.

    Attributes:
        text: The text to append.
        restart: Forget what came before; the answer starts anew.
    """

    text: str
    restart: bool = False


@dataclass(frozen=True)
class BackendSwitch:
    """One model stood in for another.

    Attributes:
        from_model: The model that could not answer, `<backend>/<model>`.
        to_model: The model asked instead.
        reason: Why, as a reason such as MODEL_UNAVAILABLE.
    """

    from_model: str
    to_model: str
    reason: str


@dataclass(frozen=True)
class TextResult:
    """The whole answer and what led to it.

    Attributes:
        text: The answer, trimmed; never empty.
        messages: What the model was really sent.
        parameters: Parameters as applied; can be written as JSON.
        model: The model that answered, `<backend>/<model>`.
        backend: `embedded`, `ollama` or `openai`.
        prompt_token_count: Tokens read; None: the backend did not tell.
        completion_token_count: Tokens written; None: the backend did not tell.
        run_seconds: From the request to its end, waiting for a place included.
        first_token_seconds: From the request to the first token.
        finish_reason: `stop`, `length`, the backend's own word, or, from the embedded model,
            `composed` where the answer was put together without the model.
        backend_job_id: The backend's own id of the request; empty: none.
        switches: Models that were asked before and could not answer.
        cost: What it cost; None: nothing, or nobody told.
    """

    text: str
    messages: tuple[TextMessage, ...]
    parameters: Mapping[str, object]
    model: str
    backend: str
    prompt_token_count: int | None
    completion_token_count: int | None
    run_seconds: float
    first_token_seconds: float
    finish_reason: str
    backend_job_id: str = ""
    switches: tuple[BackendSwitch, ...] = ()
    cost: Cost | None = None


class TextBackend(Protocol):
    """Something that can ask language models."""

    @property
    def name(self) -> str:
        """The first part of the model names that it serves, such as `ollama`."""

    @property
    def leaves_site(self) -> bool:
        """Whether texts leave the site with this backend."""

    @property
    def follows_instructions(self) -> bool:
        """Whether its models answer messages; if not, they complete the task's texts."""

    def generate(
        self, model: str, request: TextRequest
    ) -> AsyncGenerator[TextDelta | TextResult, None]:
        """Ask a model: deltas, then one result. Closing the iterator leaves the model alone.

        Args:
            model: The model's name without the backend's.
            request: What to ask; its `role` and `model` are for templates and logs only.

        Raises:
            ModelNotFoundError: The backend does not have this model.
            ModelUnavailableError: It cannot be reached, or broke off.
            ModelBusyError: Too many are waiting already.
            ModelTimeoutError: A phase took too long.
            ModelAnswerInvalidError: Nonsense or nothing came back.
            PromptFormNotOfferedError: The backend cannot ask in this form.
        """

    async def close(self) -> None:
        """Give back connections and processes."""


class RoleNotFoundError(NotFoundError):
    """The profile in force has no model for this role."""

    def __init__(self, role: str, profile: str) -> None:
        """Name the role and the profile."""
        super().__init__(
            "ROLE_NOT_FOUND",
            f"The profile {profile!r} has no model for the role {role!r}.",
            resource=("role", role),
        )


class ModelNotFoundError(NotFoundError):
    """No backend, or not this one, has a model of this name."""

    def __init__(self, model: str, hint: str = "") -> None:
        """Name the model, `<backend>/<model>`, and how it comes there, in one sentence."""
        message = f"There is no model {model!r}. {hint}".rstrip()
        super().__init__("MODEL_NOT_FOUND", message, resource=("model", model))


class ModelUnavailableError(UnavailableError):
    """The model's server or process cannot be reached, or broke off."""

    def __init__(self, message: str) -> None:
        """Say in one sentence what is not there."""
        super().__init__("MODEL_UNAVAILABLE", message, retry_seconds=RETRY_SECONDS)


class ModelBusyError(ResourceExhaustedError):
    """More requests wait for the model than it may let wait."""

    def __init__(self, message: str, retry_seconds: float = RETRY_SECONDS) -> None:
        """Say in one sentence what is full, and when to try again in seconds."""
        super().__init__("MODEL_BUSY", message, retry_seconds=retry_seconds)


class ModelTimeoutError(DeadlineExceededError):
    """The model took too long in one of the phases of an answer."""

    def __init__(self, message: str) -> None:
        """Name the phase and its limit in one sentence."""
        super().__init__("MODEL_TIMEOUT", message)


class ModelAnswerInvalidError(InternalError):
    """The model answered with nonsense, too much, or nothing."""

    def __init__(self, message: str) -> None:
        """Say in one sentence what is wrong, without a word of the answer."""
        super().__init__("MODEL_ANSWER_INVALID", message)


class PromptFormNotOfferedError(InvalidArgumentError):
    """The model's backend cannot be asked in this form."""

    def __init__(self, model: str) -> None:
        """Name the model, `<backend>/<model>`."""
        super().__init__(
            "PROMPT_FORM_NOT_OFFERED",
            f"The model {model!r} cannot be asked in this form.",
            field="prompt_form",
        )

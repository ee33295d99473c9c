"""What a guard is asked and what it may answer.

The desk, the formats of the models and the client to generation meet here. A guard that cannot be
asked or understood raises; there is no answer that means "nothing was found out", so that no
failure can pass for a "safe".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from safety_service.model import Category, Level

TEXT_GUARD_ROLE = "text_guard"
IMAGE_GUARD_ROLE = "image_guard"


class Rating(StrEnum):
    """What a guard says."""

    SAFE = "safe"
    CONTROVERSIAL = "controversial"
    UNSAFE = "unsafe"


class PromptForm(StrEnum):
    """How a prompt reaches the model."""

    CHAT = "chat"
    RAW = "raw"
    MODERATION = "moderation"


@dataclass(frozen=True, slots=True)
class GuardModel:
    """The model behind a guard's role.

    Attributes:
        name: `<backend>/<model>`.
        kind: Whose template it has, such as `llama-guard-3`.
        server_template: Whether its server applies the template instead of us.
    """

    name: str
    kind: str
    server_template: bool = False


@dataclass(frozen=True, slots=True)
class GuardPrompt:
    """A question to a guard.

    Attributes:
        text: What the model is told as its user, or the whole of a raw prompt.
        system: Instructions; empty: none.
        form: How it reaches the model.
        max_tokens: More than any proper answer has.
        picture: A picture to be judged, as JPEG; empty: none.
        answer_mark: What a proper answer repeats, so that nobody else can have written it; empty:
            the model was not trained to do this.
    """

    text: str
    system: str = ""
    form: PromptForm = PromptForm.CHAT
    max_tokens: int = 64
    picture: bytes = b""
    answer_mark: str = ""


@dataclass(frozen=True, slots=True)
class GuardAnswer:
    """What a guard found.

    Attributes:
        rating: Its word.
        categories: What it found, in our words; empty when it is safe or finds what we allow.
        score: Certainty from 0 to 1.
        model: The model that said so, `<backend>/<model>`.
    """

    rating: Rating
    categories: tuple[Category, ...] = ()
    score: float = 1.0
    model: str = ""


class GuardFailedError(Exception):
    """A guard could not give an answer.

    Attributes:
        why: A stable lower-case word.
    """

    def __init__(self, why: str) -> None:
        """Say why."""
        super().__init__(why)
        self.why = why


class UnreadableAnswerError(GuardFailedError):
    """The guard's answer is not exactly one of those that its model gives."""

    def __init__(self) -> None:
        """There is nothing to say without quoting it."""
        super().__init__("unreadable_answer")


class GuardFormat(Protocol):
    """How the guards of one kind are asked and understood."""

    def ask_text(
        self, text: str, level: Level, medium: str, *, server_template: bool
    ) -> GuardPrompt:
        """Write the question about a text.

        Args:
            text: One part of it, neutralised.
            level: For whom it must be fit.
            medium: What will be made of it; empty: unknown.
            server_template: Whether the model's server applies the template.
        """

    def ask_picture(self, picture: bytes, level: Level) -> GuardPrompt:
        """Write the question about a picture.

        Args:
            picture: A JPEG without metadata.
            level: For whom it must be fit.

        Raises:
            GuardFailedError: Models of this kind see nothing.
        """

    def read(self, answer: str, prompt: GuardPrompt) -> GuardAnswer:
        """Understand an answer, strictly.

        Raises:
            UnreadableAnswerError: It is anything but a proper answer to the prompt.
        """


class GuardModels(Protocol):
    """Reaches the models; the generation service does it."""

    async def resolve(self, role: str) -> GuardModel:
        """Tell which model a role means.

        Raises:
            GuardFailedError: Nobody knows, or there is none.
        """

    async def ask(self, role: str, model: GuardModel, prompt: GuardPrompt, level: Level) -> str:
        """Ask a model and return its whole answer.

        Raises:
            GuardFailedError: It did not answer, or not to the end, or another model did.
        """

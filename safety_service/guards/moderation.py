"""OpenAI's moderation endpoint, for texts and pictures.

https://platform.openai.com/docs/api-reference/moderations. There is no prompt to be tricked: the
content goes as it is, and a flag and a score for each category come back.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from safety_service.guards.interface import (
    GuardAnswer,
    GuardPrompt,
    PromptForm,
    Rating,
    UnreadableAnswerError,
)
from safety_service.model import Category, Level

_CATEGORIES = {
    "harassment": Category.BULLYING,
    "harassment/threatening": Category.BULLYING,
    "hate": Category.HATE,
    "hate/threatening": Category.HATE,
    "illicit": Category.DANGEROUS_ACTS,
    "illicit/violent": Category.WEAPONS,
    "self-harm": Category.SELF_HARM,
    "self-harm/intent": Category.SELF_HARM,
    "self-harm/instructions": Category.SELF_HARM,
    "sexual": Category.SEXUAL,
    "sexual/minors": Category.SEXUAL,
    "violence": Category.VIOLENCE,
    "violence/graphic": Category.HORROR,
}
"""The endpoint's categories and ours; one that comes new is `other`."""


class _Result(BaseModel):
    model_config = ConfigDict(strict=True)

    flagged: bool
    categories: dict[str, bool | None]
    category_scores: dict[str, float]


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True)

    model: str
    results: list[_Result]


class OpenAIModeration:
    """One object back for one text or picture."""

    def ask_text(
        self, text: str, level: Level, medium: str, *, server_template: bool
    ) -> GuardPrompt:
        """Send the text as it is; the endpoint knows no ages."""
        return GuardPrompt(text, form=PromptForm.MODERATION)

    def ask_picture(self, picture: bytes, level: Level) -> GuardPrompt:
        """Send the picture as it is."""
        return GuardPrompt("", form=PromptForm.MODERATION, picture=picture)

    def read(self, answer: str, prompt: GuardPrompt) -> GuardAnswer:
        """Understand the object: one result whose flag and categories say the same."""
        try:
            said = _Answer.model_validate_json(answer)
        except ValidationError as exc:
            raise UnreadableAnswerError from exc
        if len(said.results) != 1 or not said.results[0].categories:
            raise UnreadableAnswerError
        result = said.results[0]
        flagged = [name for name, is_flagged in result.categories.items() if is_flagged]
        if result.flagged != bool(flagged):
            raise UnreadableAnswerError
        if not flagged:
            return GuardAnswer(Rating.SAFE)
        flagged.sort(key=lambda name: -result.category_scores.get(name, 0.0))
        found = dict.fromkeys(_CATEGORIES.get(name, Category.OTHER) for name in flagged)
        score = min(1.0, max(0.0, result.category_scores.get(flagged[0], 1.0)))
        return GuardAnswer(Rating.UNSAFE, tuple(found), score)

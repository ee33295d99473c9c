"""The data behind the few-shot prompts, read and checked once.

The texts live in JSON beside this module, so that somebody who teaches and does not program can
better them. A fault in them is a fault of the build; tests read every one.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

M = TypeVar("M", bound=BaseModel)


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampling(_Data):
    """How a role samples; `temperature` is for requests that name none."""

    temperature: float
    max_temperature: float = Field(description="More makes the small model babble.")
    retry_temperature: float = Field(description="For attempts after the first.")
    top_p: float
    top_k: int
    min_p: float
    repeat_penalty: float
    dry_multiplier: float
    max_tokens: int


class Example(_Data):
    """One example: a text and what became of it, after a rule or with words from the hat."""

    rule: str = ""
    text: str
    hat: tuple[str, ...] = ()
    result: str


class Wording(_Data):
    """An attitude in one language."""

    head: str
    rule: str = ""
    default_rule: str = ""
    hat: str = Field("", description="Label of words drawn by chance, as Tzara drew his poems.")
    hat_words: tuple[str, ...] = ()
    source: str
    result: str
    joint: str = Field("", description="Put between the text and what the model adds.")
    examples: tuple[Example, ...]


class Attitude(_Data):
    """One way to rewrite; chosen by a config's id or by words of its context."""

    keywords: tuple[str, ...]
    de: Wording
    en: Wording

    def wording(self, language: str) -> Wording:
        """Return the wording for texts in a language; English where there is none."""
        return self.de if language == "de" else self.en


class RewritingData(_Data):
    """The attitudes of a role; `generic` is one of them."""

    about: str
    sampling: Sampling
    attitudes: dict[str, Attitude]


class Language(_Data):
    """A language: its own name, the script it is written in, and the parallel phrases."""

    name: str
    script: str
    phrases: tuple[str, ...]


class TranslationData(_Data):
    """Languages and how to sample; every language has the same phrases in the same order."""

    about: str
    sampling: Sampling
    extra_phrases: dict[str, tuple[str, ...]]
    languages: dict[str, Language]


class GlossaryData(_Data):
    """Words by pair of languages."""

    about: str
    pairs: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Library:
    """All data of the prompts."""

    translation: TranslationData
    interception: RewritingData
    optimization: RewritingData
    glossary: GlossaryData

    @classmethod
    def load(cls) -> Self:
        """Read the shipped files."""
        return cls(
            translation=_read("translation.json", TranslationData),
            interception=_read("interception.json", RewritingData),
            optimization=_read("optimization.json", RewritingData),
            glossary=_read("glossary.json", GlossaryData),
        )


def _read(name: str, model: type[M]) -> M:
    path = files("generation_service.text.embedded") / "templates" / name
    return model.model_validate_json(path.read_text(encoding="utf-8"))

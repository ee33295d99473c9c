"""The data behind the few-shot prompts, read and checked once.

The texts live in JSON beside this module, so that somebody who teaches and does not program can
better them. A fault in them is a fault of the build; tests read every one.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

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
    """One example: a text and what became of it, perhaps after a rule."""

    rule: str = ""
    text: str
    result: str


class Wording(_Data):
    """An attitude in one language."""

    head: str
    rule: str = Field("", description="Label of the person's rule; empty: none is shown.")
    default_rule: str = ""
    source: str
    result: str
    joint: str = Field("", description="Put between the text and what comes after it.")
    opening: str | None = Field(
        None, description="What an answer begins with instead of the text and the joint."
    )
    moves: tuple[str, ...] = Field(
        (), description="One is drawn by chance; the answer has it before the model goes on."
    )
    bridge: str = Field("", description="Put between a move and what the model adds.")
    turned: bool = Field(False, description="Words with a known opposite are turned around first.")
    examples: tuple[Example, ...]


class Attitude(_Data):
    """One way to rewrite; chosen by a config's id or by words of its context."""

    about: str
    keywords: tuple[str, ...]
    de: Wording
    en: Wording

    def wording(self, language: str) -> Wording:
        """Return the wording for texts in a language; English where there is none."""
        return self.de if language == "de" else self.en


class RewritingData(_Data):
    """The attitudes of a role, each a file of the role's folder; `generic` is one of them."""

    about: str
    sampling: Sampling
    attitudes: dict[str, Attitude] = {}


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
    """Words by pair of languages, or words and their opposites by language."""

    about: str
    pairs: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Library:
    """All data of the prompts."""

    translation: TranslationData
    interception: RewritingData
    optimization: RewritingData
    glossary: GlossaryData
    opposites: GlossaryData

    @classmethod
    def load(cls) -> Self:
        """Read the shipped files."""
        folder = files("generation_service.text.embedded") / "templates"
        return cls(
            translation=_read(folder / "translation.json", TranslationData),
            interception=_read_attitudes(folder, "interception"),
            optimization=_read_attitudes(folder, "optimization"),
            glossary=_read(folder / "glossary.json", GlossaryData),
            opposites=_read(folder / "opposites.json", GlossaryData),
        )


def _read_attitudes(folder: Traversable, role: str) -> RewritingData:
    attitudes = {
        path.name.removesuffix(".json"): _read(path, Attitude)
        for path in sorted((folder / role).iterdir(), key=lambda path: path.name)
    }
    data = _read(folder / f"{role}.json", RewritingData)
    return data.model_copy(update={"attitudes": attitudes})


def _read(path: Traversable, model: type[M]) -> M:
    return model.model_validate_json(path.read_text(encoding="utf-8"))

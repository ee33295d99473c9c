"""Texts in several languages, as config files write them: the caller's language, then English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator

from orchestrator.configs.values import Frozen, FrozenModel

FALLBACK_LANGUAGE = "en"


def _joined(text: object) -> object:
    """Join a list of lines: JSON has no other way to write a long text readably."""
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        return "\n".join(text)
    return text


def _localized(value: object) -> object:
    """Accept `"text"`, `["line", …]`, `{"de": …}` and what this model itself writes."""
    if isinstance(value, str | list):
        return {"texts": {FALLBACK_LANGUAGE: _joined(value)}}
    if isinstance(value, Mapping) and "texts" not in value:
        return {"texts": {language: _joined(text) for language, text in value.items()}}
    return value


class LocalizedText(FrozenModel):
    """One text in several languages; English is always there.

    Attributes:
        texts: ISO 639-1 code to text.
    """

    texts: Annotated[Mapping[str, str], *Frozen]

    def language_for(self, language: str) -> str:
        """Return the code of the text that a speaker of `language` gets."""
        return language if language in self.texts else FALLBACK_LANGUAGE

    def text_for(self, language: str) -> str:
        """Return the text in `language`, else in English."""
        return self.texts[self.language_for(language)]


Localized = Annotated[LocalizedText, BeforeValidator(_localized)]

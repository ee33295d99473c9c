"""The words of the pages, and in which language a person reads them.

One file per part of the pages and language, `texts/<part>.<language>.json`: flat, from a key such
as `make.title` to a text. A text may name values: `{count} pictures`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import Request

LANGUAGES = {"de": "Deutsch", "en": "English"}
"""What the pages are written in, each by its own name."""
FALLBACK = "en"
_CHOSEN = "language"


class Catalogue:
    """All texts of the pages."""

    def __init__(self) -> None:
        """Read the files."""
        self._texts: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
        for entry in sorted((files("gateway") / "texts").iterdir(), key=lambda each: each.name):
            _, language, _ = entry.name.split(".")
            self._texts[language] |= json.loads(entry.read_text(encoding="utf-8"))

    def keys(self, language: str) -> frozenset[str]:
        """Return the keys that have a text in a language."""
        return frozenset(self._texts[language])

    def has(self, key: str) -> bool:
        """Tell whether there is such a text."""
        return key in self._texts[FALLBACK]

    def text(self, language: str, key: str, **values: object) -> str:
        """Return a text with its values.

        Raises:
            KeyError: There is no such text, or a value is missing.
        """
        found = self._texts[language][key]
        return found.format_map(values) if values else found


def language_of(request: Request) -> str:
    """Return the language that a person chose, else the browser's first one that we have."""
    chosen = request.session.get(_CHOSEN)
    if chosen in LANGUAGES:
        return str(chosen)
    return accepted(request.headers.get("accept-language", ""))


def choose_language(request: Request, language: str) -> None:
    """Remember a person's choice; one that we do not have changes nothing."""
    if language in LANGUAGES:
        request.session[_CHOSEN] = language


def accepted(header: str) -> str:
    """Return which of our languages an `Accept-Language` header likes best."""
    wishes = []
    for place, part in enumerate(header.split(",")[:20]):
        tag, _, weight = part.partition(";")
        language = tag.strip().partition("-")[0].lower()
        if language in LANGUAGES:
            wishes.append((-_weight(weight), place, language))
    return min(wishes)[2] if wishes else FALLBACK


def _weight(text: str) -> float:
    try:
        return float(text.strip().removeprefix("q="))
    except ValueError:
        return 1.0


def localised(texts: Mapping[str, str], language: str) -> str:
    """Return a text of a service in a language, else in English, else in any."""
    return texts.get(language) or texts.get(FALLBACK) or next(iter(texts.values()), "")

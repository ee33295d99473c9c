"""What a rule can do better than a small model: secret languages, and words turned around.

A model of this size has never understood where a syllable begins. A rule has, and it is what
children do, too. Answers made here are marked `composed`, so that nobody takes them for a model's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORD = re.compile(r"[^\W\d_]+")
_ONSET = re.compile(r"(?:qu|y(?=[aeiou])|[^aeiouyäöü])*", re.IGNORECASE)
_VOWELS = re.compile(r"aa|ee|oo|ie|ei|ai|au|äu|eu|[aeiouäöüy]", re.IGNORECASE)
_ENDINGS = ("", "e", "er", "es", "en", "em")
_ARTICLES = {
    "de": (re.compile(r"\bein(?=(?:e[nmrs]?)?\b)", re.IGNORECASE), "kein"),
    "en": (re.compile(r"\ban?\b", re.IGNORECASE), "no"),
}


def secret_language(text: str, language: str) -> str:
    """Write a text in the secret language that children of a language use.

    Args:
        text: Any text; what is no word stays.
        language: ISO 639-1. German gets the B-Sprache (`Hund` becomes `Hubund`), every other
            language Pig Latin (`dog` becomes `ogday`).
    """
    turn = _b_language if language == "de" else _pig_latin
    return _WORD.sub(lambda match: turn(match.group()), text)


def turn_around(text: str, opposites: Mapping[str, str], language: str) -> str:
    """Put the opposite in place of every word that has a known one, endings kept.

    Args:
        text: Any text. Where no word of it has an opposite, it is denied.
        opposites: German nouns with a capital letter, everything else without.
        language: ISO 639-1 code of the text.
    """
    turned = _WORD.sub(lambda match: _opposite(match.group(), opposites), text)
    if turned != text:
        return turned
    article, no = _ARTICLES.get(language, _ARTICLES["en"])
    return article.sub(lambda match: no.capitalize() if match.group()[0].isupper() else no, text, 1)


def _opposite(word: str, opposites: Mapping[str, str]) -> str:
    for ending in _ENDINGS:
        stem = word.removesuffix(ending) if word.endswith(ending) else ""
        for form in (stem, stem[:1].lower() + stem[1:]):
            if form in opposites:
                turned = opposites[form] + ending
                return turned[0].upper() + turned[1:] if word[0].isupper() else turned
    return word


def _pig_latin(word: str) -> str:
    """Move what stands before the first vowel to the end and add `ay`; `way` after a vowel."""
    onset = _ONSET.match(word)
    head = onset.group() if onset else ""
    if len(head) == len(word):
        return word
    turned = f"{word[len(head) :]}{head.lower()}ay" if head else f"{word}way"
    if word.isupper() and len(word) > 1:
        return turned.upper()
    return turned[0].upper() + turned[1:] if word[0].isupper() else turned


def _b_language(word: str) -> str:
    """Say every vowel twice, with a `b` between."""

    def double(match: re.Match[str]) -> str:
        vowel = match.group()
        again = f"b{vowel.lower()}"
        return vowel + (again.upper() if word.isupper() and len(word) > 1 else again)

    return _VOWELS.sub(double, word)

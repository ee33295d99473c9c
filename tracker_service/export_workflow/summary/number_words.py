"""Numbers as German and English write them in words.

`ein` and `one` alone are left out: they are articles and pronouns more often than numbers. Beyond
99 only the round words are known; a model that writes others in words is not caught.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_GERMAN: Final = (
    "null . zwei drei vier fünf sechs sieben acht neun zehn . zwölf dreizehn vierzehn fünfzehn "
    "sechzehn siebzehn achtzehn neunzehn"
)
_GERMAN_TENS: Final = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"
_ENGLISH: Final = (
    "zero . two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_ENGLISH_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_ROUND: Final = {
    "zwo": 2,
    "dutzend": 12,
    "dozen": 12,
    "hundert": 100,
    "hundred": 100,
    "tausend": 1000,
    "thousand": 1000,
}
_WORD: Final = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def _words() -> Iterator[tuple[str, int]]:
    """Yield words with their values; `.` stands where a word means something else as well."""
    for small, tens in ((_GERMAN, _GERMAN_TENS), (_ENGLISH, _ENGLISH_TENS)):
        yield from ((word, value) for value, word in enumerate(small.split()) if word != ".")
        yield from ((word, value * 10) for value, word in enumerate(tens.split(), 2))
    for ten, word in enumerate(_GERMAN_TENS.split(), 2):
        for unit, small_word in enumerate(["ein", *_GERMAN.split()[2:10]], 1):
            yield f"{small_word}und{word}", ten * 10 + unit
    for ten, word in enumerate(_ENGLISH_TENS.split(), 2):
        for unit, small_word in enumerate(["one", *_ENGLISH.split()[2:10]], 1):
            yield f"{word}-{small_word}", ten * 10 + unit
    yield from _ROUND.items()


_VALUES: Final = {word.casefold(): value for word, value in _words()}


def number_words(text: str) -> Iterator[tuple[str, int]]:
    """Yield the words of a text that are numbers, with their values."""
    for found in _WORD.finditer(text):
        whole = found[0]
        parts = [whole] if whole.casefold() in _VALUES else whole.split("-")
        for part in parts:
            if (value := _VALUES.get(part.casefold())) is not None:
                yield part, value

"""Numbers as German and English write them in words.

`ein` and `one` are left out: they are articles and pronouns more often than numbers. So are words
that mean something else as well in the other language.
"""

from __future__ import annotations

from typing import Final

_GERMAN: Final = """
null zwei drei vier fünf sechs sieben acht neun zehn zwölf dreizehn vierzehn fünfzehn sechzehn
siebzehn achtzehn neunzehn zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig
hundert tausend
"""
_GERMAN_VALUES: Final = (0, *range(2, 11), *range(12, 21), *range(30, 101, 10), 1000)
_ENGLISH: Final = """
zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand
"""
_ENGLISH_VALUES: Final = (0, *range(2, 21), *range(30, 101, 10), 1000)

WORDS: Final = dict(
    [
        *zip(_GERMAN.split(), _GERMAN_VALUES, strict=True),
        *zip(_ENGLISH.split(), _ENGLISH_VALUES, strict=True),
        ("zwo", 2),
        ("dutzend", 12),
        ("dozen", 12),
    ]
)
"""By word, in lower case."""

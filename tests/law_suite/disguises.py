"""How people hide a word from a filter: each disguise rewrites the words of a sign.

Written independently of the normalisation that undoes it, from what people do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WORD = re.compile(r"[^\W_]+")
_VOWELS = "aeiouäöü"
_LEET = str.maketrans("aeioAEIO", "43104310")
_LEET_SIGNS = str.maketrans("asitASIT", "@$!7@$!7")
_LOOKALIKES = str.maketrans("aeopcxiABEHKMOPT", "аеорсхіАВЕНКМОРТ")
_ACCENTS = str.maketrans("aeiounAEIOUN", "áèîõúñÀÉÏÔÙÑ")
_UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"}


def _between(separator: str) -> Callable[[str], str]:
    return separator.join


def _mixed_case(word: str) -> str:
    return "".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(word))


def _fullwidth(word: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)


def _repeated(word: str) -> str:
    place = next((i for i, c in enumerate(word) if c.lower() in _VOWELS), 0)
    return word[:place] + word[place] * 3 + word[place:] + word[-1] * 2


def _starred(word: str) -> str:
    place = next((i for i, c in enumerate(word) if i and c.lower() in _VOWELS), 1)
    return f"{word[:place]}*{word[place + 1 :]}"


def _split(word: str) -> str:
    return f"{word[: len(word) // 2]} {word[len(word) // 2 :]}"


def _umlauts(word: str) -> str:
    return "".join(_UMLAUTS.get(c, c) for c in word)


# Of a word: what it becomes, and the least length at which people do so and are still understood.
_OF_WORDS: Mapping[str, tuple[Callable[[str], str], int]] = {
    "plain": (str, 1),
    "lower case": (str.lower, 1),
    "upper case": (str.upper, 1),
    "mixed case": (_mixed_case, 4),
    "umlaut spelling": (_umlauts, 1),
    "leet": (lambda word: word.translate(_LEET), 4),
    "leet signs": (lambda word: word.translate(_LEET_SIGNS), 4),
    "spaced": (_between(" "), 2),
    "dotted": (_between("."), 2),
    "dashed": (_between("-"), 2),
    "underscored": (_between("_"), 2),
    "homoglyph": (lambda word: word.translate(_LOOKALIKES), 2),
    "zero-width": (_between("\u200b"), 2),
    "soft hyphen": (_between("\u00ad"), 2),
    "full width": (_fullwidth, 2),
    "accents": (lambda word: word.translate(_ACCENTS), 4),
    "repeated letters": (_repeated, 4),
    "starred": (_starred, 6),
    "torn": (_split, 8),
}
DISGUISES = tuple(_OF_WORDS)
GENTLE = ("plain", "lower case", "upper case", "umlaut spelling", "zero-width", "repeated letters")
_WHOLE_TEXT = ("lower case", "upper case", "umlaut spelling")


def disguise(name: str, text: str, sign: str) -> str:
    """Disguise a sign in a text.

    Args:
        name: One of `DISGUISES`.
        text: The whole text; case and umlauts change in all of it.
        sign: The part of it that is to be hidden; articles and the like stay readable.

    Returns:
        The text; unchanged if the disguise does nothing to such a sign.
    """
    rewrite, least = _OF_WORDS[name]
    if name in _WHOLE_TEXT:
        return rewrite(text)

    def hide(match: re.Match[str]) -> str:
        word = match[0]
        hidden = len(word) >= 4 or word.isupper() or word.isdigit()
        return rewrite(word) if hidden and len(word) >= least else word

    return text.replace(sign, _WORD.sub(hide, sign))

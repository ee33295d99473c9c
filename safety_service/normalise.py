"""Layer 1: undo the disguises of a text and remember where everything came from.

A term list sees words, a child who wants to get past it writes `k 1 l l`, `KÍLL` or `kiiill`. This
module turns a text into *views*: the plainly folded text, and, only where something looks
disguised, readings with leetspeak decoded, spaced letters joined or repeated letters squeezed. Each
character of a view knows its place in the original text. Every step is linear in the text.
"""

from __future__ import annotations

import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING

from safety_service.disguises import (
    MaskedWord,
    View,
    ViewKind,
    clear_text,
    disguised_views,
    masked_words,
)
from safety_service.model import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DIAERESIS = "\u0308"
_DOTTED = "aou4@0"  # vowels that may carry it, also in leetspeak
_UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ẞ": "ss"}
# Letters of other scripts that a reader takes for Latin ones (after Unicode TS 39, by hand).
_LOOKALIKES = {
    **dict(zip("авсԁеёнһіјкӏмпорԛгѕтуѵԝхүьαβγεηικνορτυχωμϲϳı",
               "abcdeehhijklmnopqrstyvwxybabyenikvoptuxwucji", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧΛΣВНУ", "abezhikmnoptyxaebhy", strict=True)),
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),
    **dict(zip("øłđħŧƒɑɡɩʋ", "oldhtfagiv", strict=True)),
    "æ": "ae", "œ": "oe", "Æ": "ae", "Œ": "oe", "Ø": "o", "Ł": "l", "Đ": "d",
}  # fmt: skip
_LETTER_BLOCKS = (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)  # squared, circled, regional A…Z
_SIGNS = "卐卍ᛋ"  # letters of other scripts that are drawn as symbols
_INVISIBLE_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # fillers that count as letters or symbols


class _FoldTable(dict[int, str]):
    """Folds single characters for `str.translate`, each worked out when it first appears."""

    def __missing__(self, codepoint: int) -> str:
        self[codepoint] = folded = _fold_character(chr(codepoint))
        return folded


class _BoundaryTable(dict[int, str]):
    """Turns every folded character that is no part of a word into a space."""

    def __missing__(self, codepoint: int) -> str:
        character = chr(codepoint)
        is_word = character.isalnum() or unicodedata.category(character) in ("So", "Sk")
        self[codepoint] = kept = character if is_word else " "
        return kept


def _fold_character(character: str) -> str:
    if character in _LOOKALIKES:
        return _LOOKALIKES[character]
    if character in _UMLAUTS:
        return _UMLAUTS[character]
    for first in _LETTER_BLOCKS:
        if first <= ord(character) < first + 26:
            return chr(ord("a") + ord(character) - first)
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs", "Cn", "Mn", "Me") or character in _INVISIBLE_LETTERS:
        return ""
    lowered = character.casefold()
    if lowered in _UMLAUTS or lowered in _LOOKALIKES:
        return _UMLAUTS.get(lowered) or _LOOKALIKES[lowered]
    parts = unicodedata.normalize("NFKD", character).casefold()
    kept = "".join(_LOOKALIKES.get(c, c) for c in parts if not unicodedata.combining(c))
    if kept == character and (category == "So" or character in _SIGNS):
        return f" {character} "  # an emoji is a word of its own
    return kept


class Normaliser:
    """Folds texts; holds the tables that grow with the characters seen."""

    def __init__(self) -> None:
        self._fold = _FoldTable()
        self._boundaries = _BoundaryTable()

    def normalise(self, text: str) -> Normalised:
        """Fold a text; its views are worked out when they are asked for.

        Args:
            text: Any text.

        Returns:
            The folded text, which knows its views.
        """
        folded = "".join(self._pieces(text)) if _DIAERESIS in text else text.translate(self._fold)
        words = folded.translate(self._boundaries)
        return Normalised(text, folded, words, lambda: self._origins(text))

    def _pieces(self, text: str) -> Iterator[str]:
        """What each character of the original becomes; a + diaeresis is ä, which is ae."""
        previous = ""
        for character in text:
            if character == _DIAERESIS:
                yield "e" if previous in _DOTTED and previous else ""
            else:
                previous = self._fold[ord(character)] or previous
                yield self._fold[ord(character)]

    def _origins(self, text: str) -> list[int]:
        return [i for i, piece in enumerate(self._pieces(text)) for _ in piece]


class Normalised:
    """A folded text with the readings that its disguises call for."""

    def __init__(
        self, original: str, folded: str, words: str, origins: Callable[[], list[int]]
    ) -> None:
        """Hold a folded text.

        Args:
            original: The text as it came.
            folded: The folded text.
            words: The same with a space for each character that is no part of a word.
            origins: Works out the original index of each folded character; called at most once.
        """
        self.original = original
        self._folded = folded
        self._work_out_origins = origins
        self.plain = View(ViewKind.PLAIN, f" {words} ")

    def span(self, view: View, start: int, end: int) -> Span:
        """Map a part of a view back to the original text.

        Args:
            view: One of this text's views.
            start: Index of the first character in `view.text`, not a boundary space.
            end: Index after the last character.

        Returns:
            The smallest part of the original that became those characters.
        """
        if view.origins is None:
            return self.folded_span(start - 1, end - 1)
        return self.folded_span(view.origins[start], view.origins[end - 1] + 1)

    def folded_span(self, start: int, end: int) -> Span:
        """Map a part of the folded text back to the original text."""
        return Span(self._origins[start], self._origins[end - 1] + 1)

    @cached_property
    def _origins(self) -> list[int]:
        return self._work_out_origins()

    @cached_property
    def masked(self) -> tuple[MaskedWord, ...]:
        """The words with starred-out letters."""
        return tuple(masked_words(self._folded))

    @cached_property
    def clear(self) -> str:
        """The one reading that a person would take it for, words between spaces."""
        return clear_text(self._folded) or self.plain.text

    @cached_property
    def disguised(self) -> tuple[View, ...]:
        """The readings beside the plain one; empty for nearly every honest text."""
        return tuple(disguised_views(self._folded))

"""Layer 1: undo the disguises of a text and remember where everything came from.

A term list sees words, a child who wants to get past it writes `k 1 l l`, `KÍLL` or `kiiill`. This
module turns a text into *views*: the plainly folded text, and, only where something looks
disguised, readings with leetspeak decoded, spaced letters joined or repeated letters squeezed. Each
character of a view knows its place in the original text. Every step is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from safety_service.model import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_DIAERESIS = "\u0308"
_MASKS = "*#"
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
_UMLAUT_SPELLINGS = frozenset(_UMLAUTS.values())
_SIGNS = "卐卍ᛋ"  # letters of other scripts that are drawn as symbols
_INVISIBLE_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # fillers that count as letters or symbols
# fmt: off
_LEET = {"0": "o", "1": "i", "2": "z", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t",
         "8": "b", "9": "g", "@": "a", "$": "s", "€": "e", "!": "i", "|": "l", "+": "t"}
# fmt: on
_AMBIGUOUS = "1!|"  # each may be an i or an l; the readings below try both
_READINGS = ("i", "l", "il", "li")

_TOKEN = re.compile(r"(?:[^\W_]|[@$€!|+*#])+")
_TRAILING = "!|+*#"
_GAPS_IN_SPEECH = " '’`"  # between words, and in "who're"
_STRETCHED = re.compile(r"([aou]e)\1|(\w)\2\2|^(\w)\3|ii|uu|yy")
_PIECES = re.compile(r"([aou]e)(?:\1)+|(.)\2*", re.DOTALL)
_DISGUISED = re.compile(
    r"([a-z])\1\1|([aou]e)\2|ii|uu|yy|\b([a-z])\3"  # stretched
    r"|[a-z][0-9@$€|+*#]|[0-9@$€!|+*#][a-z]"  # leetspeak, masks
    r"|[^\W_][.\-_~/'’·•,:;]+[^\W_]"  # d-o-t-t-e-d, bl-ut
    r"|(?<![^\W_])(?:[^\W_]|[aou]e)[\W_]{1,3}(?:[^\W_]|[aou]e)[\W_]{1,3}(?:[^\W_]|[aou]e)(?![^\W_])"  # s p a c e d
)


class ViewKind(Enum):
    """How the terms must be looked for in a view."""

    PLAIN = "plain"
    SQUEEZED = "squeezed"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a text: words between spaces, a space at either end.

    Attributes:
        kind: PLAIN words; SQUEEZED: every repeated letter once; RUN: one chain of letters that
            were written apart, without word boundaries.
        text: The reading.
        origins: For each character the index in the folded text; None when they are equal.
        stretched: Starts of the words in `text` that had suspicious repetitions.
    """

    kind: ViewKind
    text: str
    origins: Sequence[int] | None = None
    stretched: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class MaskedWord:
    """A word in which letters were starred out.

    Attributes:
        text: The word, `*` for each hidden letter.
        start: Index of its first character in the folded text.
        end: Index after its last character there.
    """

    text: str
    start: int
    end: int


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
        return Normalised(folded, words, lambda: self._origins(text))

    def _pieces(self, text: str) -> Iterator[str]:
        """What each character of the original becomes; a + diaeresis is ä, which is ae."""
        previous = ""
        for character in text:
            if character == _DIAERESIS:
                yield "e" if previous in "aou" and previous else ""
            else:
                previous = self._fold[ord(character)] or previous
                yield self._fold[ord(character)]

    def _origins(self, text: str) -> list[int]:
        return [i for i, piece in enumerate(self._pieces(text)) for _ in piece]


class Normalised:
    """A folded text with the readings that its disguises call for."""

    def __init__(self, folded: str, words: str, origins: Callable[[], list[int]]) -> None:
        """Hold a folded text.

        Args:
            folded: The folded text.
            words: The same with a space for each character that is no part of a word.
            origins: Works out the original index of each folded character; called at most once.
        """
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
        if not any(mask in self._folded for mask in _MASKS):
            return ()
        found = []
        for token in _tokens(self._folded):
            word = "".join("*" if c in _MASKS else _LEET.get(c, c) for c, _ in token)
            if "*" in word[1:] and word.strip("*"):
                found.append(MaskedWord(word, token[0][1], token[-1][1] + 1))
        return tuple(found)

    @cached_property
    def disguised(self) -> tuple[View, ...]:
        """The readings beside the plain one; empty for nearly every honest text."""
        if not _DISGUISED.search(self._folded):
            return ()
        tokens = _tokens(self._folded)
        joined, runs = _join(tokens, self._folded)
        readings = _leet_readings(tokens)
        if joined != tokens:
            readings += _leet_readings(joined) or [joined]
        views = [_view(reading) for reading in readings]
        for reading in [tokens, *readings]:
            views.extend(_squeezed(reading))
        for run in runs:
            for reading in _leet_readings([run]) or [[run]]:
                views.append(replace(_view(reading), kind=ViewKind.RUN))
        return tuple(views)


# A token is a word's characters, each with its index in the folded text.
_Token = list[tuple[str, int]]


def _tokens(folded: str) -> list[_Token]:
    found = []
    for match in _TOKEN.finditer(folded):
        word = match.group().rstrip(_TRAILING)
        lead = len(word) - len(word.lstrip(_TRAILING))
        if lead < len(word):
            found.append([(c, match.start() + i) for i, c in enumerate(word)][lead:])
    return found


def _leet_readings(tokens: list[_Token]) -> list[list[_Token]]:
    """The tokens with digits and signs read as letters; nothing if none could be."""
    leet = [_is_leet(token) for token in tokens]
    if not any(leet):
        return []
    ambiguous = any(
        character in _AMBIGUOUS
        for token, decode in zip(tokens, leet, strict=True)
        if decode
        for character, _ in token
    )
    return [
        [_decode(t, reading) if d else t for t, d in zip(tokens, leet, strict=True)]
        for reading in (_READINGS if ambiguous else _READINGS[:1])
    ]


def _is_leet(token: _Token) -> bool:
    has_letter = any(character.isalpha() for character, _ in token)
    return has_letter and any(not character.isalpha() for character, _ in token)


def _decode(token: _Token, reading: str) -> _Token:
    """Read one token; the n-th ambiguous sign as the n-th letter of `reading`, then its last."""
    decoded: _Token = []
    seen = 0
    for character, index in token:
        if character in _MASKS:
            continue
        if character in _AMBIGUOUS:
            decoded.append((reading[min(seen, len(reading) - 1)], index))
            seen += 1
        else:
            decoded.append((_LEET.get(character, character), index))
    return decoded


def _join(tokens: list[_Token], folded: str) -> tuple[list[_Token], list[_Token]]:
    """Join letters written apart and words broken by punctuation.

    Returns:
        The tokens of the whole text with the joins made, and each chain of single letters as one
        token without regard to the gaps in it.
    """
    joined: list[_Token] = []
    runs: list[_Token] = []
    for chain in _chains(tokens, folded):
        if len(chain) >= 3 and all(map(_is_single, chain)):
            words = _split_run(chain, folded)
            joined.extend(words)
            runs.append([pair for word in words for pair in word])
        else:
            joined.extend(_glue(chain, folded))
    return joined, runs


def _chains(tokens: list[_Token], folded: str) -> Iterator[list[_Token]]:
    """Group neighbours: single characters with a short gap, or words without a space between."""
    chain: list[_Token] = []
    for token in tokens:
        if chain:
            gap = folded[chain[-1][-1][1] + 1 : token[0][1]]
            apart = _is_single(token) and _is_single(chain[-1]) and len(gap) <= 3
            if not apart and (" " in gap or not gap):
                yield chain
                chain = []
        chain.append(token)
    if chain:
        yield chain


def _is_single(token: _Token) -> bool:
    """Whether it was one letter in the original; an umlaut is two by now."""
    return len(token) == 1 or "".join(character for character, _ in token) in _UMLAUT_SPELLINGS


def _gaps(chain: list[_Token], folded: str) -> list[str]:
    return [folded[a[-1][1] + 1 : b[0][1]] for a, b in pairwise(chain)]


def _split_run(chain: list[_Token], folded: str) -> list[_Token]:
    """Join single characters to words where the gaps are wider or, between dots, a space."""
    gaps = _gaps(chain, folded)
    narrow = min(len(gap) for gap in gaps)
    dotted = any(" " not in gap for gap in gaps)
    words = [list(chain[0])]
    for token, gap in zip(chain[1:], gaps, strict=True):
        if (" " in gap) if dotted else (len(gap) > narrow):
            words.append([])
        words[-1].extend(token)
    return words


def _glue(chain: list[_Token], folded: str) -> list[_Token]:
    """Join the pieces of a chain that only punctuation parts."""
    glued = [list(chain[0])]
    for token, gap in zip(chain[1:], _gaps(chain, folded), strict=True):
        number = token[0][0].isdigit() and glued[-1][-1][0].isdigit()  # 1,8 is not 18
        if number or not gap.strip(_GAPS_IN_SPEECH):
            glued.append([])
        glued[-1].extend(token)
    return glued


def _view(tokens: list[_Token], stretched: frozenset[int] = frozenset()) -> View:
    text = [" "]
    origins = [0]
    for token in tokens:
        for character, index in token:
            text.append(character)
            origins.append(index)
        text.append(" ")
        origins.append(origins[-1])
    return View(ViewKind.PLAIN, "".join(text), origins, stretched)


def _squeezed(tokens: list[_Token]) -> Iterator[View]:
    """The reading with every repetition squeezed, if a word looks stretched."""
    words = ["".join(character for character, _ in token) for token in tokens]
    suspicious = [bool(_STRETCHED.search(word)) for word in words]
    if not any(suspicious):
        return
    squeezed = []
    starts = set()
    position = 1
    for token, word, stretched in zip(tokens, words, suspicious, strict=True):
        kept = [
            token[match.start() + i]
            for match in _PIECES.finditer(word)
            for i in range(len(match[1] or match[2]))
        ]
        kept[-1] = (kept[-1][0], token[-1][1])  # the span reaches to the last repetition
        if stretched:
            starts.add(position)
        position += len(kept) + 1
        squeezed.append(kept)
    yield replace(_view(squeezed, frozenset(starts)), kind=ViewKind.SQUEEZED)


def squeeze(word: str) -> str:
    """Write every repeated letter (or umlaut) of a folded word once."""
    return _PIECES.sub(lambda match: match[1] or match[2], word)

"""The second half of layer 1: the other readings of a text that looks disguised.

Works on folded text only. A reading is made for leetspeak, for letters written apart, for words
torn by punctuation and for stretched words; each remembers where its characters came from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MASKS = "*#"
_UMLAUT_SPELLINGS = frozenset({"ae", "oe", "ue", "ss"})
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
_LETTER = r"(?:[^\W_]|[aou]e)"  # of the original: an umlaut is two characters by now
_DISGUISED = re.compile(
    r"([a-z])\1\1|([aou]e)\2|ii|uu|yy|\b([a-z])\3"  # stretched
    r"|[a-z][0-9@$€|+*#]|[0-9@$€!|+*#][a-z]"  # leetspeak, masks
    r"|[^\W_][.\-_~/'’·•,:;]+[^\W_]"  # d-o-t-t-e-d, bl-ut
    rf"|(?<![^\W_]){_LETTER}[\W_]{{1,3}}{_LETTER}[\W_]{{1,3}}{_LETTER}(?![^\W_])"  # s p a c e d
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


# A token is a word's characters, each with its index in the folded text.
_Token = list[tuple[str, int]]


def masked_words(folded: str) -> list[MaskedWord]:
    """Find words with starred-out letters.

    Args:
        folded: The folded text.

    Returns:
        The words with at least one letter left.
    """
    if not any(mask in folded for mask in _MASKS):
        return []
    found = []
    for token in _tokens(folded):
        word = "".join("*" if c in _MASKS else _LEET.get(c, c) for c, _ in token)
        if "*" in word[1:] and word.strip("*"):
            found.append(MaskedWord(word, token[0][1], token[-1][1] + 1))
    return found


def disguised_views(folded: str) -> list[View]:
    """Read a text without its disguises.

    Args:
        folded: The folded text.

    Returns:
        The readings; none if nothing looks disguised.
    """
    if not _DISGUISED.search(folded):
        return []
    tokens = _tokens(folded)
    joined, runs = _join(tokens, folded)
    readings = _leet_readings(tokens)
    if joined != tokens:
        readings += _leet_readings(joined) or [joined]
    views = [_view(reading) for reading in readings]
    for reading in [tokens, *readings]:
        views.extend(_squeezed(reading))
    for run in runs:
        for reading in _leet_readings([run]) or [[run]]:
            views.append(replace(_view(reading), kind=ViewKind.RUN))
    return views


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

"""The second half of layer 1: the other readings of a text that looks disguised.

Works on folded text only. A reading is made for leetspeak, for letters written apart, for words
torn by punctuation and for stretched words; each remembers where its characters came from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise, product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MASKS = "*#"
_UMLAUT_SPELLINGS = frozenset({"ae", "oe", "ue", "ss"})
# fmt: off
_LEET = {"0": "o", "1": "i", "2": "z", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t",
         "8": "b", "9": "g", "@": "a", "$": "s", "€": "e", "!": "i", "|": "l", "+": "t"}
# fmt: on
_AMBIGUOUS = "1!|"  # each may be an i or an l
_LONG_TEXT = 3_000  # characters; of a longer text fewer readings are tried

_TOKEN = re.compile(r"(?:[^\W_]|[@$€!|+*#])+")
_PUNCTUATION = "!|+*#"  # at the ends of a word more often than a letter
_GAPS_IN_SPEECH = " '’`"  # between words, and in "who're"
_STRETCHED = re.compile(r"([aou]e)\1|(\w)\2\2|^(\w)\3|ii|uu|yy")
_PIECES = re.compile(r"([aou]e)(?:\1)+|(.)\2*", re.DOTALL)
_REPEATED = re.compile(r"([aou]e)\1+|(.)\2+", re.DOTALL)  # those of them that are no single letter
_LETTER = r"(?:[^\W_]|[aou]e|[@$€!|+])"  # of the original: an umlaut is two characters by now
_DISGUISED = re.compile(
    r"([a-z])\1\1|([aou]e)\2|ii|uu|yy|\b([a-z])\3"  # stretched
    r"|[a-z][0-9@$€|+*#]|[a-z]!\w|[0-9@$€!|+*#][a-z]"  # leetspeak, masks
    r"|[^\W_][.\-_~/'’·•,:;]+[^\W_]"  # d-o-t-t-e-d, bl-ut
    rf"|(?<![^\W_]){_LETTER}[\W_]{{1,3}}{_LETTER}[\W_]{{1,3}}{_LETTER}(?![^\W_])"  # s p a c e d
)
_ONLY_SIGNS = re.compile(r"\s*[@$€!|+]*[@$€][@$€!|+]*\s*")  # a word drawn, without one letter


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
        guessed: Whether it joins or shortens words further than `clear_text` does.
    """

    kind: ViewKind
    text: str
    origins: Sequence[int] | None = None
    stretched: frozenset[int] = frozenset()
    guessed: bool = False


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
# What ambiguous signs stand for: by sign, or in the order in which they come in a word.
_Reading = dict[str, str] | str
_AS_IT_LOOKS: _Reading = {"1": "i", "!": "i", "|": "l"}


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
    if not _DISGUISED.search(folded) and not _ONLY_SIGNS.fullmatch(folded):
        return []
    tokens = _tokens(folded)
    views = _views(tokens, folded)
    whole = _tokens(folded, keep_signs=True)
    return views if whole == tokens else views + _views(whole, folded)


def clear_text(folded: str) -> str | None:
    """The text as a reader would take it, for who judges whole sentences.

    Letters that were written apart are joined and leetspeak is read; everything else stays.

    Args:
        folded: The folded text.

    Returns:
        The words between spaces; None if nothing looks disguised.
    """
    if not _DISGUISED.search(folded):
        return None
    words = _runs(_tokens(folded), folded)
    clear = [_decode(word, _AS_IT_LOOKS) if _is_leet(word) else word for word in words]
    return _view(clear).text


def _views(tokens: list[_Token], folded: str) -> list[View]:
    runs = _runs(tokens, folded)
    glued = _glued(runs, folded)
    readings = _leet_readings(tokens, folded)
    if runs != tokens:
        readings += _leet_readings(runs, folded) or [runs]
    views = [_view(reading) for reading in readings]
    if glued != runs:
        guesses = _leet_readings(glued, folded) or [glued]
        readings += guesses
        views += [replace(_view(guess), guessed=True) for guess in guesses]
    for reading in [tokens, *readings]:
        views.extend(_squeezed(reading))
    for run in _chains_of_letters(tokens, folded):
        for reading in _leet_readings([run], folded) or [[run]]:
            views.append(replace(_view(reading), kind=ViewKind.RUN, guessed=True))
    return views


def _tokens(folded: str, *, keep_signs: bool = False) -> list[_Token]:
    """The words; signs at their ends are punctuation, or with `keep_signs` letters."""
    found = []
    for match in _TOKEN.finditer(folded):
        word = match.group()
        ends = _PUNCTUATION if not keep_signs else _MASKS + "!" * word.rstrip("!").isalpha()
        kept = word.rstrip(ends)
        lead = len(kept) - len(kept.lstrip(ends if not keep_signs else _MASKS))
        if len(word) == 1 and word in _LEET:
            kept, lead = word, 0  # it may be one of many letters written apart
        if lead < len(kept):
            found.append([(c, match.start() + i) for i, c in enumerate(kept)][lead:])
    return found


def _leet_readings(tokens: list[_Token], folded: str) -> list[list[_Token]]:
    """The tokens with digits and signs read as letters; nothing if none could be."""
    leet = [_is_leet(token) for token in tokens]
    if not any(leet) and not all(map(_is_sign_word, tokens)):
        return []
    leet = [decode or _is_sign_word(token) for token, decode in zip(tokens, leet, strict=True)]
    signs = {
        character
        for token, decode in zip(tokens, leet, strict=True)
        if decode
        for character, _ in token
        if character in _AMBIGUOUS
    }
    return [
        [_decode(t, reading) if d else t for t, d in zip(tokens, leet, strict=True)]
        for reading in _possible_readings(sorted(signs), few=len(folded) > _LONG_TEXT)
    ]


def _possible_readings(signs: list[str], *, few: bool) -> list[_Reading]:
    """Whoever disguises a text mostly uses one sign for one letter, or one sign for both."""
    if not signs:
        return ["i"]
    if few:
        return ["i", "l"]
    by_sign: list[_Reading] = [
        dict(zip(signs, letters, strict=True)) for letters in product("il", repeat=len(signs))
    ]
    return by_sign + (["il", "li"] if len(signs) == 1 else [])


def _is_leet(token: _Token) -> bool:
    has_letter = any(character.isalpha() for character, _ in token)
    return has_letter and any(not character.isalpha() for character, _ in token)


def _is_sign_word(token: _Token) -> bool:
    """Whether it is a word without any letter ("€47"), which counts beside other leetspeak."""
    return len(token) > 2 and any(not character.isalnum() for character, _ in token)


def _decode(token: _Token, reading: _Reading) -> _Token:
    """Read one token."""
    decoded: _Token = []
    seen = 0
    for character, index in token:
        if character in _MASKS:
            continue
        if character in _AMBIGUOUS:
            if isinstance(reading, str):
                letter = reading[min(seen, len(reading) - 1)]
            else:
                letter = reading.get(character, "i")
            decoded.append((letter, index))
            seen += 1
        else:
            decoded.append((_LEET.get(character, character), index))
    return decoded


def _runs(tokens: list[_Token], folded: str) -> list[_Token]:
    """Join letters that were written apart."""
    joined: list[_Token] = []
    for chain in _chains(tokens, folded):
        joined.extend(_split_run(chain, folded) if _is_run(chain) else chain)
    return joined


def _glued(tokens: list[_Token], folded: str) -> list[_Token]:
    """Join words that punctuation tears."""
    return [word for chain in _chains(tokens, folded) for word in _glue(chain, folded)]


def _chains_of_letters(tokens: list[_Token], folded: str) -> Iterator[_Token]:
    """Letters written apart with nothing to tell where a word ends, each chain as one token."""
    for chain in _chains(tokens, folded):
        if _is_run(chain):
            words = _split_run(chain, folded)
            if 2 * sum(map(_is_single, words)) >= len(words) or len(words) == 1:
                yield [pair for word in words for pair in word]


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


def _is_run(chain: list[_Token]) -> bool:
    return len(chain) >= 3 and all(map(_is_single, chain))


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
    yield replace(_view(squeezed, frozenset(starts)), kind=ViewKind.SQUEEZED, guessed=True)


def squeeze(word: str) -> str:
    """Write every repeated letter (or umlaut) of a folded word once."""
    return _REPEATED.sub(lambda match: match[1] or match[2], word)

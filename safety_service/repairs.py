"""A reading in which hidden words are put right, for lists whose terms are several words.

The other readings of layer 1 know nothing of the lists. They cannot say where `n a z i f l a g`
falls into words, what the star in `D*utschland` hides or that `Deut schland` is one word. With the
words of the lists at hand this is easy: what can be a listed word is read as that word.
"""

from __future__ import annotations

import re
from collections import defaultdict
from operator import add
from typing import TYPE_CHECKING

from safety_service.disguises import MaskedWord, View, ViewKind, squeeze

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from safety_service.normalise import Normalised

_LETTER = r"(?:[^ ]|[aou]e)"  # one letter; an umlaut is two by now
_WORD = re.compile(r"[^ ]+")
_STRETCHED = re.compile(r"([^ ])\1\1")
_APART = re.compile(rf"(?<= ){_LETTER}(?: {{1,3}}{_LETTER})+(?= )")
_TWO_LETTERS = re.compile(r" [^ ] [^ ] ")
_LEAST_TORN = 7  # letters of a word whose halves are put together
_LEAST_HALF = 3
_LEAST_MASKED = 4
_MAX_GUESSES = 3
_LETTER_COST = 3  # of a letter that is in no word, in words
_Piece = tuple[str, int, int]  # a word, and its start and end in the folded text


class Repairs:
    """Puts hidden words right, by the words of some lists."""

    def __init__(self, forms: Iterable[str], beginnings: Iterable[str] = ()) -> None:
        """Index words.

        Args:
            forms: Folded words.
            beginnings: Those of them that may begin a compound.
        """
        self._forms = frozenset(forms)
        self._longest = max(map(len, self._forms), default=0)
        self._squeezed = {squeeze(form): form for form in sorted(self._forms, reverse=True)}
        self._shapes: dict[str, list[tuple[str, bool]]] = defaultdict(list)
        self._halves: dict[str, list[str]] = defaultdict(list)  # by how a compound may begin
        open_forms = frozenset(beginnings)
        for form in open_forms:
            if len(form) > _LEAST_TORN:
                for length in range(_LEAST_HALF, len(form)):
                    self._halves[form[:length]].append(form)
        for form in sorted(self._forms):
            if len(form) >= _LEAST_MASKED:
                self._shapes[form[0]].append((form, form in open_forms))

    def views(self, text: Normalised) -> Iterator[View]:
        """Read a text with its hidden words put right.

        Args:
            text: The normalised text.

        Yields:
            The readings: none if there is nothing to put right, several if a starred word may be
            several words.
        """
        plain = text.plain.text
        if not text.disguised and not self._looks_torn(plain):
            return  # nearly every honest text
        repaired = list(self._unstretched(plain))
        for match in _APART.finditer(plain):
            repaired += self._joined(match)
        unmasked = [options for word in text.masked if (options := self._unmasked(word))]
        for i in range(max(map(len, unmasked), default=1)):
            guessed = [options[min(i, len(options) - 1)] for options in unmasked]
            pieces = _merged(plain, [*repaired, *guessed])
            mended = self._mended(pieces)
            if repaired or guessed or len(mended) < len(pieces):
                yield _view(mended)

    def _looks_torn(self, plain: str) -> bool:
        """Whether two neighbours are one listed word, or single letters."""
        words = plain.split()
        return (
            not self._forms.isdisjoint(map(add, words, words[1:]))
            or not self._halves.keys().isdisjoint(words)
            or bool(_TWO_LETTERS.search(plain))
        )

    def _is_torn(self, half: str, rest: str) -> bool:
        whole = half + rest
        if len(whole) < _LEAST_TORN or {half, rest} <= self._forms:
            return False  # two words of a list may be a term as they are
        if whole in self._forms:
            return True
        compounds = () if half in self._forms else self._halves.get(half, ())
        return any(whole.startswith(form) for form in compounds)

    def _unmasked(self, word: MaskedWord) -> list[_Piece]:
        """What a starred word may be, a few guesses."""
        hidden = word.text
        if hidden[0] == "*" or 2 * hidden.count("*") > len(hidden):
            return []
        shape = re.compile(re.escape(hidden).replace(r"\*", _LETTER))
        found = []
        for form, is_open in self._shapes.get(hidden[0], ()):
            for whole in (form, *(_compounds(form, hidden) if is_open else ())):
                if shape.fullmatch(whole):
                    found.append((whole, word.start, word.end))
        found.sort(key=lambda piece: piece[0] not in self._forms)
        return found[:_MAX_GUESSES]

    def _unstretched(self, plain: str) -> Iterator[_Piece]:
        for match in _WORD.finditer(plain):
            if _STRETCHED.search(match[0]) and (form := self._squeezed.get(squeeze(match[0]))):
                yield form, match.start() - 1, match.end() - 1

    def _joined(self, chain: re.Match[str]) -> Iterator[_Piece]:
        """The listed words in a chain of single letters; what is between them stays together."""
        letters = [
            (letter, chain.start() + single.start() - 1)
            for single in _WORD.finditer(chain[0])
            for letter in single[0]
        ]
        begin = 0
        for word in self._words_of("".join(letter for letter, _ in letters)):
            end = begin + len(word)
            yield word, letters[begin][1], letters[end - 1][1] + 1
            begin = end

    def _words_of(self, run: str) -> list[str]:
        """Cut a chain of letters into the fewest listed words; other letters cost the most."""
        # From each place to the end: the cost, and less where the piece that begins here ends.
        best = [(0, 0)] * (len(run) + 1)
        for begin in reversed(range(len(run))):
            best[begin] = min(
                (best[end][0] + (1 if end > begin + 1 else _LETTER_COST), -end)
                for end in self._ends(run, begin)
            )
        words: list[str] = []
        begin = 0
        unknown = False  # letters in no word stay together
        while begin < len(run):
            end = -best[begin][1]
            if unknown and end == begin + 1:
                words[-1] += run[begin]
            else:
                words.append(run[begin:end])
            begin, unknown = end, end == begin + 1
        return words

    def _ends(self, run: str, begin: int) -> Iterator[int]:
        """Where a piece may end: after one letter, or after a listed word."""
        yield begin + 1
        for end in range(begin + 2, min(begin + self._longest, len(run)) + 1):
            if run[begin:end] in self._forms:
                yield end

    def _mended(self, pieces: list[_Piece]) -> list[_Piece]:
        """The pieces, two that are the halves of a listed word as one."""
        mended: list[_Piece] = []
        for piece in pieces:
            if mended:
                last = mended[-1]
                if self._is_torn(last[0], piece[0]):
                    mended[-1] = (last[0] + piece[0], last[1], piece[2])
                    continue
            mended.append(piece)
        return mended


def _merged(plain: str, repaired: list[_Piece]) -> list[_Piece]:
    """All words of a text, by place; the repaired ones instead of what they were made from."""
    found = [(match[0], match.start() - 1, match.end() - 1) for match in _WORD.finditer(plain)]
    if not repaired:
        return found
    taken = {place for _, start, end in repaired for place in range(start, end)}
    kept = [piece for piece in found if piece[1] not in taken]
    return sorted((*kept, *repaired), key=lambda piece: piece[1])


def _view(pieces: list[_Piece]) -> View:
    text = [" "]
    origins = [0]
    for word, start, end in pieces:
        text.append(f"{word} ")
        origins += [start] * (len(word) - 1)
        origins += [end - 1] * 2
    return View(ViewKind.PLAIN, "".join(text), origins)


def _compounds(form: str, hidden: str) -> Iterator[str]:
    """The word with the end of a starred one, which may have starred an umlaut."""
    for length in (len(hidden) - len(form), len(hidden) - len(form) + 1):
        if length > 0 and "*" not in hidden[-length:]:
            yield form + hidden[-length:]

"""The compiled lists: finds listed words in a view in one pass, whatever the size of the lists.

Every form becomes a pattern that carries its own word boundaries as spaces, so that `mord` is never
found in `Mordor`, and a compound is found only where a list says that one may be.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from ahocorasick_rs import AhoCorasick

from safety_service.disguises import squeeze

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from safety_service.term_lists import Word

_VOWEL = re.compile(r"[aeiouy]")
_MIN_COMPOUND_PART = 3
_MIN_SPLITTABLE_LENGTH = 5
_MIN_UNBOUNDED_LENGTH = 4
_Item = TypeVar("_Item", bound=Hashable)


class WordRegistry:
    """Numbers the words of all lists, so that equal words are looked for once."""

    def __init__(self) -> None:
        self._ids: dict[tuple[frozenset[str], bool, bool], int] = {}
        self.words: list[Word] = []

    def add(self, word: Word) -> int:
        """Return the word's number, a new one if it is new."""
        key = (word.forms, word.ends_compound, word.begins_compound)
        if key not in self._ids:
            self._ids[key] = len(self.words)
            self.words.append(word)
        return self._ids[key]


class Automaton:
    """Finds numbered words between the spaces of a view."""

    def __init__(
        self,
        words: Mapping[int, Word],
        *,
        splittable: Iterable[int] = (),
        rewrite: Callable[[str], str] = str,
    ) -> None:
        """Compile words.

        Args:
            words: The words by number.
            splittable: Numbers of words that are found even with a space in them ("hit ler").
            rewrite: What was done to the words of the view, done to the patterns too.
        """
        patterns: dict[str, list[int]] = defaultdict(list)
        for number, word in words.items():
            for form in map(rewrite, word.forms):
                if len(form) < 3 and form not in word.forms:
                    continue  # "xxx" squeezed would be every x
                patterns[f" {form} "].append(number)
                if word.begins_compound:
                    patterns[f" {form}"].append(number)
                if word.ends_compound:
                    patterns[f"{form} "].append(number)
        for number in splittable:
            for form in map(rewrite, words[number].forms):
                if len(form) >= _MIN_SPLITTABLE_LENGTH:
                    for cut in range(1, len(form)):
                        patterns[f" {form[:cut]} {form[cut:]} "].append(number)
        self._numbers = _shared(tuple(numbers) for numbers in patterns.values())
        self._bounds = _shared((p[0] == " ", p[-1] == " ") for p in patterns)
        self._automaton = AhoCorasick(list(patterns))

    def scan(self, text: str) -> dict[int, list[tuple[int, int]]]:
        """Find the words.

        Args:
            text: A view: words between spaces, a space at either end.

        Returns:
            For each word found the places (start, end) of the whole words it was found in.
        """
        hits: dict[int, list[tuple[int, int]]] = {}
        for pattern, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            place = self._place(text, start, end, self._bounds[pattern])
            if place:
                for number in self._numbers[pattern]:
                    hits.setdefault(number, []).append(place)
        return hits

    @staticmethod
    def _place(
        text: str, start: int, end: int, bounds: tuple[bool, bool]
    ) -> tuple[int, int] | None:
        """The whole word around a match; None if the rest of it makes no compound."""
        if all(bounds):
            return start + 1, end - 1
        if bounds[0]:
            word_end = text.index(" ", end)
            return (start + 1, word_end) if _is_compound_part(text[end:word_end]) else None
        word_start = text.rindex(" ", 0, start) + 1
        return (word_start, end - 1) if _is_compound_part(text[word_start:start]) else None


class UnboundedAutomaton:
    """Finds long words anywhere in a chain of letters that were written apart."""

    def __init__(self, words: Mapping[int, Word]) -> None:
        """Compile the forms of at least `_MIN_UNBOUNDED_LENGTH` letters."""
        forms: dict[str, list[int]] = defaultdict(list)
        for number, word in words.items():
            for form in word.forms:
                if len(form) >= _MIN_UNBOUNDED_LENGTH:
                    forms[form].append(number)
        self._numbers = _shared(tuple(numbers) for numbers in forms.values())
        self._automaton = AhoCorasick(list(forms))

    def scan(self, text: str) -> dict[int, list[tuple[int, int]]]:
        """Find the words; see `Automaton.scan`."""
        hits: dict[int, list[tuple[int, int]]] = {}
        for form, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            for number in self._numbers[form]:
                hits.setdefault(number, []).append((start, end))
        return hits


class MaskedForms:
    """Finds which words a starred-out word may stand for."""

    def __init__(self, words: Mapping[int, Word]) -> None:
        """Look for words; they are indexed with the first starred word, which few services meet."""
        self._words = words

    @cached_property
    def _forms(self) -> Mapping[tuple[int, str], Mapping[str, list[int]]]:
        """The forms by length and first letter."""
        found: dict[tuple[int, str], dict[str, list[int]]] = defaultdict(dict)
        for number, word in self._words.items():
            for form in word.forms:
                if len(form) >= _MIN_UNBOUNDED_LENGTH:
                    found[len(form), form[0]].setdefault(form, []).append(number)
        return found

    def find(self, masked: str) -> set[int]:
        """Numbers of the words that fit.

        Args:
            masked: The folded word, `*` for each hidden letter.

        Returns:
            The numbers; empty unless the first letter and half of all are visible.
        """
        if masked[0] == "*" or 2 * masked.count("*") > len(masked):
            return set()
        candidates = self._forms.get((len(masked), masked[0]), {})
        shape = re.compile(re.escape(masked).replace(r"\*", "[^ ]"))
        return {n for form, numbers in candidates.items() if shape.fullmatch(form) for n in numbers}


def _shared(items: Iterable[_Item]) -> list[_Item]:
    """The items in order, equal ones being one object: most of tens of thousands are."""
    known: dict[_Item, _Item] = {}
    return [known.setdefault(item, item) for item in items]


def squeezed(words: Mapping[int, Word]) -> Automaton:
    """Compile words for views in which repetitions were squeezed."""
    return Automaton(words, rewrite=squeeze)


def _is_compound_part(rest: str) -> bool:
    return len(rest) >= _MIN_COMPOUND_PART and rest.isalpha() and bool(_VOWEL.search(rest))

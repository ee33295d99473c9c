"""Layer 2: listed terms in a text, with what makes a hit harmless.

A hit counts unless a longer allowed term covers it (`Mordor`), a context near it makes it lawful (a
swastika in a history lesson), a context that it needs is missing (88 is a code only among
comrades), or it is a word of another language. Praise near a hit voids the lawful context.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from safety_service.automaton import (
    Automaton,
    MaskedForms,
    UnboundedAutomaton,
    WordRegistry,
    squeezed,
)
from safety_service.disguises import View, ViewKind
from safety_service.excuses import Contexts, Tongue, allowed_elsewhere
from safety_service.finding import Finding, Hits
from safety_service.languages import EMPTY_WORDS
from safety_service.repairs import Repairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from safety_service.model import Span
    from safety_service.normalise import Normalised
    from safety_service.term_lists import Entry, TermLists, Word

_MAX_MASKED_WORDS = 64
_MOST_EMPTY_WORDS = 6
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _Term:
    """A term as word numbers: per position the alternatives, and the words that may lie before."""

    positions: tuple[frozenset[int], ...]
    gaps: tuple[int, ...]
    second: frozenset[int] | None  # of its positions, None for a single word
    entry: Entry | None = None


class TermIndex:
    """The compiled lists of one policy; immutable, shared by all calls."""

    def __init__(self, lists: TermLists, voiding_set: str) -> None:
        """Compile lists.

        Args:
            lists: Lists without faults.
            voiding_set: The set whose words near a hit void `unless`: praise.
        """
        registry = WordRegistry()
        self._terms = _by_first_word(
            [
                _term(entry.words, registry, replace(entry, words=()))  # they are compiled by now
                for entry in lists.entries
            ]
            + [_term(words, registry) for words in lists.allowed]
        )
        self._sets = {
            name: frozenset(registry.add(word) for word in words)
            for name, words in lists.sets.items()
        }
        self._voiding = self._sets.get(voiding_set, frozenset())
        words = dict(enumerate(registry.words))
        alone = _single_words(self._terms, words, law_only=False)
        law = _single_words(self._terms, words, law_only=True)
        # The automata that only disguises need are compiled with the first of each kind: starting
        # a service waits for the plain one alone.
        self._compilers: dict[ViewKind, Callable[[], Automaton | UnboundedAutomaton]] = {
            ViewKind.PLAIN: lambda: Automaton(words, splittable=law),
            ViewKind.SQUEEZED: lambda: squeezed(words),
            ViewKind.RUN: lambda: UnboundedAutomaton(alone),
        }
        self._automata = {ViewKind.PLAIN: self._compilers[ViewKind.PLAIN]()}
        self._masked = MaskedForms(alone)
        self._repairs = _law_repairs(lists)
        self._spellings = frozenset(lists.spellings)

    def find(self, text: Normalised) -> list[Finding]:
        """Find listed terms.

        Args:
            text: The normalised text.

        Returns:
            Each entry once per place, by place; also those that are excused.
        """
        views = (text.plain, *text.disguised, *self._repairs.views(text))
        scans = [(view, self._automaton(view.kind).scan(view.text)) for view in views]
        found: dict[tuple[str, Span], Finding] = {}
        allowed: list[Span] = []
        for view, hits in scans:
            for finding in self._in_view(text, view, hits, allowed):
                key = (finding.entry.id, finding.span)
                known = found.get(key)
                if known is None or known.excused or (known.disguised and not finding.excused):
                    found[key] = finding
        for finding in self._behind_masks(text):
            found.setdefault((finding.entry.id, finding.span), finding)
        contexts = Contexts(text, scans, self._sets, self._voiding)
        tongue = Tongue(text, self._spellings)
        judged = (allowed_elsewhere(finding, allowed) for finding in found.values())
        findings = [contexts.judge(tongue.judge(finding)) for finding in _seen_plainly([*judged])]
        if findings and _says_nothing_else(text, findings):
            findings = [replace(f, bare=True) for f in findings]
        return sorted(findings, key=lambda finding: (finding.span.start, finding.span.end))

    def _automaton(self, kind: ViewKind) -> Automaton | UnboundedAutomaton:
        if kind not in self._automata:
            self._automata[kind] = self._compilers[kind]()
        return self._automata[kind]

    def _in_view(
        self, text: Normalised, view: View, hits: Hits, allowed_spans: list[Span]
    ) -> Iterable[Finding]:
        """The entries in a view; what it shows of allowed terms is added to `allowed_spans`."""
        matches = list(self._matches(view, hits))
        allowed = [place for term, place in matches if term.entry is None]
        allowed_spans += [text.span(view, *place) for place in allowed]
        for term, (start, end) in matches:
            if term.entry is None:
                continue
            yield Finding(
                term.entry,
                text.span(view, start, end),
                excused="allowed" if _covered(view.text, start, end, allowed) else "",
                disguised=view.guessed,
            )

    def _matches(self, view: View, hits: Hits) -> Iterable[tuple[_Term, tuple[int, int]]]:
        order: dict[int, int] | None = None
        absent = hits.keys().isdisjoint
        for number in hits:
            for term in self._terms.get(number, ()):
                if term.second is None:
                    places = hits[number]
                elif absent(term.second) or any(map(absent, term.positions[2:])):
                    continue  # nearly always: many terms begin with common words
                else:
                    order = _word_order(view.text) if order is None else order
                    places = _sequences(term, number, hits, order)
                for place in places:
                    if view.kind is not ViewKind.SQUEEZED or _touches(place, view.stretched):
                        yield term, place

    def _behind_masks(self, text: Normalised) -> Iterable[Finding]:
        for word in text.masked[:_MAX_MASKED_WORDS]:
            for number in self._masked.find(word.text):
                for term in self._terms[number]:
                    if len(term.positions) == 1 and term.entry is not None:
                        span = text.folded_span(word.start, word.end)
                        yield Finding(term.entry, span, disguised=True)


def _term(
    words: tuple[tuple[Word, ...], ...], registry: WordRegistry, entry: Entry | None = None
) -> _Term:
    positions = tuple(frozenset(registry.add(word) for word in members) for members in words)
    gaps = tuple(members[0].gap_before for members in words)
    return _Term(positions, gaps, positions[1] if len(positions) > 1 else None, entry)


def _by_first_word(terms: Sequence[_Term]) -> dict[int, list[_Term]]:
    by_word: dict[int, list[_Term]] = defaultdict(list)
    for term in terms:
        for number in term.positions[0]:
            by_word[number].append(term)
    return dict(by_word)


def _single_words(
    terms: Mapping[int, Sequence[_Term]], words: Mapping[int, Word], *, law_only: bool
) -> dict[int, Word]:
    """The words that are an entry by themselves."""
    return {
        number: words[number]
        for number, starting in terms.items()
        for term in starting
        if term.entry is not None and len(term.positions) == 1
        if not term.entry.needs and (term.entry.law or not law_only)
    }


def _law_repairs(lists: TermLists) -> Repairs:
    """What can be put right: the words of law entries, and the company that they need."""
    law = [entry for entry in lists.entries if entry.law]
    words = [word for entry in law for members in entry.words for word in members]
    words += [word for name in {n for e in law for n in e.needs} for word in lists.sets[name]]
    return Repairs(
        (form for word in words for form in word.forms),
        (form for word in words if word.begins_compound for form in word.forms),
    )


def _word_order(text: str) -> dict[int, int]:
    """The place of each word in the row of words, by its start."""
    order = {}
    position = 0
    for i, word in enumerate(text.split()):
        position = text.index(word, position)
        order[position] = i
        position += len(word)
    return order


def _sequences(
    term: _Term, first: int, hits: Hits, order: Mapping[int, int]
) -> list[tuple[int, int]]:
    """Places where the words of a term follow one another within their gaps."""
    rows: list[dict[int, int]] = []
    for position in term.positions[1:]:
        ends = [place for number in position & hits.keys() for place in hits[number]]
        rows.append({order[start]: end for start, end in ends if start in order})
    places = []
    for start, end in hits[first]:
        last = _follow(rows, term.gaps[1:], order[start], end) if start in order else None
        if last is not None:
            places.append((start, last))
    return places


def _follow(
    rows: Sequence[dict[int, int]], gaps: Sequence[int], index: int, end: int
) -> int | None:
    """End of the first way to place the remaining words after the word at `index`."""
    if not rows:
        return end
    for candidate in range(index + 1, index + 2 + gaps[0]):
        if candidate in rows[0]:
            last = _follow(rows[1:], gaps[1:], candidate, rows[0][candidate])
            if last is not None:
                return last
    return None


def _seen_plainly(findings: Sequence[Finding]) -> list[Finding]:
    """The findings; what can be read as it stands, too ("self-harm"), is no disguise."""
    plain = {f.span for f in findings if not f.disguised and not f.excused}
    return [replace(f, disguised=f.disguised and f.span not in plain) for f in findings]


def _says_nothing_else(text: Normalised, findings: Sequence[Finding]) -> bool:
    """Whether beside the findings there are only words of any wish: "draw a …, please"."""
    rest = list(text.original)
    for finding in (finding for finding in findings if not finding.excused):
        rest[finding.span.start : finding.span.end] = " " * (finding.span.end - finding.span.start)
    words = _WORD.findall("".join(rest).casefold())
    return len(words) <= _MOST_EMPTY_WORDS and all(word in EMPTY_WORDS for word in words)


def _covered(text: str, start: int, end: int, allowed: Sequence[tuple[int, int]]) -> bool:
    """Whether an allowed term spans a match, or more than the first or the last word of it.

    "Poison ivy for my teacher" begins with a plant, so nobody is poisoned.
    """
    if not allowed:
        return False
    first_end = text.index(" ", start)
    last_start = text.rindex(" ", 0, end) + 1
    return any(
        (a <= start and (end <= b or first_end < b))
        or (a <= last_start and end <= b and (a, b) != (last_start, end))
        for a, b in allowed
    )


def _touches(place: tuple[int, int], starts: frozenset[int]) -> bool:
    return any(place[0] <= start < place[1] for start in starts)

"""Why a listed term that was found does not count: allowed, foreign, or excused by its context."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from safety_service.disguises import View, ViewKind
from safety_service.languages import OTHER, evident_languages, is_foreign_letter
from safety_service.model import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from safety_service.finding import Finding, Hits
    from safety_service.model import Span
    from safety_service.normalise import Normalised
    from safety_service.term_lists import Entry

_CONTEXT_CHARACTERS = 200  # a context counts this far before and after a hit


class Tongue:
    """Whether a finding is a harmless word of another language; worked out only if asked."""

    def __init__(self, text: Normalised, spellings: frozenset[str]) -> None:
        self._text = text
        self._spellings = spellings

    def judge(self, finding: Finding) -> Finding:
        """The finding, excused if it is another language's word."""
        entry, span = finding.entry, finding.span
        if finding.excused or entry.law:
            return finding
        if self._foreign_to(entry):
            return replace(finding, excused="language")
        word = self._text.original[span.start : span.end]
        if word.isascii():
            return finding
        word = unicodedata.normalize("NFC", word).casefold()
        if word in self._spellings:
            return replace(finding, excused="allowed")
        if self._evident == {OTHER} and any(map(is_foreign_letter, word)):
            return replace(finding, excused="language")
        return finding

    def _foreign_to(self, entry: Entry) -> bool:
        if entry.severity is Severity.ASK and self._evident == {OTHER}:
            return True  # nobody here could answer, and `stolen` is a chair in Swedish
        return entry.homograph and bool(self._evident) and entry.language not in self._evident

    @cached_property
    def _evident(self) -> frozenset[str]:
        return evident_languages(self._text.plain.text.split())


class Contexts:
    """What stands near a finding; worked out only for entries that ask."""

    def __init__(
        self,
        text: Normalised,
        scans: Sequence[tuple[View, Hits]],
        sets: Mapping[str, frozenset[int]],
        voiding: frozenset[int],
    ) -> None:
        self._text = text
        self._scans = scans
        self._sets = sets
        self._voiding = voiding
        self._places: dict[frozenset[int], list[tuple[int, int]]] = {}

    def judge(self, finding: Finding) -> Finding:
        """The finding, excused if a context says so."""
        entry = finding.entry
        if finding.excused:
            return finding
        if entry.needs and not any(self._near(finding, self._sets[name]) for name in entry.needs):
            return replace(finding, excused="needs")
        for name in entry.unless:
            if self._near(finding, self._sets[name]) and not self._near(finding, self._voiding):
                return replace(finding, excused=f"context:{name}")
        return finding

    def _near(self, finding: Finding, numbers: frozenset[int]) -> bool:
        """Whether one of the words stands near the finding and not inside of it."""
        if numbers not in self._places:
            self._places[numbers] = sorted(
                (span.start, span.end)
                for view, hits in self._scans
                if view.kind is not ViewKind.SQUEEZED
                for number in numbers & hits.keys()
                for span in (self._text.span(view, *place) for place in hits[number])
            )
        span, places = finding.span, self._places[numbers]
        first = bisect_left(places, (span.start - _CONTEXT_CHARACTERS, 0))
        for index in range(first, len(places)):
            start, end = places[index]
            if start > span.end + _CONTEXT_CHARACTERS:
                return False
            if not (span.start <= start and end <= span.end):
                return True
        return False


def allowed_elsewhere(finding: Finding, allowed: Sequence[Span]) -> Finding:
    """The finding, excused if another reading shows an allowed term around it: `w4ter gun`.

    Signs of the law stay: whoever disguises the words around them has a reason.
    """
    span = finding.span
    if finding.excused or finding.entry.law:
        return finding
    if any(one.start <= span.start and span.end <= one.end for one in allowed):
        return replace(finding, excused="allowed")
    return finding

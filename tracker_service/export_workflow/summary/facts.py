"""Which statements of a text can be checked against data, and whether they occur there.

Checked are numbers, in digits and in words, and quotations. This does not prove that a text is
true, and says so nowhere: it proves that no figure and no quotation was made up.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Final

from tracker_service.export_workflow.summary.number_words import number_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker_service.export_workflow.documents import JsonValue

# Spaces of any width are plain ones by then; they belong to a number only before three digits.
_NUMBER: Final = re.compile(r"\d+(?:[.,:'’]\d+| \d{3}(?!\d))*")
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:([.,'’ ])\d{3})(?:\1\d{3})*")
_QUOTED: Final = re.compile(r"„([^“”]+)[“”]|“([^”]+)”|\"([^\"\n]+)\"|«([^»]+)»|»([^«]+)«")
_ELLIPSIS: Final = re.compile(r"\[?(?:…|\.\.\.)\]?")
_QUOTE_MARKS: Final = re.compile("[\"„“”«»‚‘’'‹›]")
_MAX_PLACES: Final = 3
"""Decimal places to which a number may have been rounded."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What became of the checkable statements of a text.

    Attributes:
        checked: How many there are.
        unknown_numbers: Those that do not occur in the data, as they were written.
        unknown_quotations: Likewise.
    """

    checked: int
    unknown_numbers: tuple[str, ...]
    unknown_quotations: tuple[str, ...]

    @property
    def share_found(self) -> float | None:
        """Share of the statements that occur in the data; None: there are none."""
        if not self.checked:
            return None
        missing = len(self.unknown_numbers) + len(self.unknown_quotations)
        return (self.checked - missing) / self.checked


class FactBook:
    """The numbers and texts of data, made ready for looking up."""

    def __init__(self, data: JsonValue) -> None:
        """Read data once.

        Numbers of the data are its numbers, each as it is and rounded, a share also as a
        percentage; numbers within its texts and keys; and the lengths of its lists.
        """
        self._numbers: set[Decimal] = set()
        texts: list[str] = []
        for value in _values(data):
            if isinstance(value, str):
                texts.append(value)
            elif isinstance(value, list):
                self._numbers.add(Decimal(len(value)))
            else:
                self._add_number(value)
        for text in texts:
            self._numbers.update(number for one in _mentions(text) for number in one.all_readings())
        self._text = "\n".join(map(_comparable, texts))

    def check(self, text: str) -> Findings:
        """Check what a text states."""
        # A quotation is checked as a whole, so the numbers in it need not be.
        rest = _QUOTED.sub(" ", text)
        mentions = list(_mentions(rest))
        quotations = [next(filter(None, found.groups())) for found in _QUOTED.finditer(text)]
        return Findings(
            checked=len(mentions) + len(quotations),
            unknown_numbers=tuple(one.text for one in mentions if not self._has_number(one)),
            unknown_quotations=tuple(one for one in quotations if not self._has_text(one)),
        )

    def _add_number(self, value: float) -> None:
        exact = Decimal(repr(value)).copy_abs()  # abs() would round to 28 digits
        self._numbers |= _rounded(exact)
        if 0 < exact < 1:
            self._numbers |= _rounded(exact * 100)

    def _has_number(self, mention: _Mention) -> bool:
        return any(self._numbers.issuperset(reading) for reading in mention.readings)

    def _has_text(self, quotation: str) -> bool:
        parts = map(_comparable, _ELLIPSIS.split(quotation))
        return all(part in self._text for part in parts if part)


def _rounded(exact: Decimal) -> set[Decimal]:
    if exact.adjusted() > 400 or exact == exact.to_integral_value():
        return {exact}
    return {exact} | {
        exact.quantize(Decimal(1).scaleb(-places), rounding)
        for places in range(_MAX_PLACES + 1)
        for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN)
    }


@dataclass(frozen=True, slots=True)
class _Mention:
    """A number in a text with what it may mean: `1.250` is one number or, in a date, two."""

    text: str
    readings: tuple[tuple[Decimal, ...], ...]

    def all_readings(self) -> Iterator[Decimal]:
        for reading in self.readings:
            yield from reading


def _mentions(text: str) -> Iterator[_Mention]:
    text = unicodedata.normalize("NFKC", text)  # digits of other scripts, fractions, superscripts
    for found in _NUMBER.finditer(text):
        yield _Mention(found[0], tuple(_readings(found[0])))
    for word, value in number_words(text):
        yield _Mention(word, ((Decimal(value),),))


def _readings(token: str) -> Iterator[tuple[Decimal, ...]]:
    parts = re.split(r"\D", token)
    yield tuple(map(Decimal, parts))  # a date, a time, a version, or one whole number
    if len(parts) > 1:
        whole, fraction = re.sub(r"\D", "", token[: -len(parts[-1])]), parts[-1]
        if token[-len(fraction) - 1] in ".,":
            yield (Decimal(f"{whole}.{fraction}"),)
    if _THOUSANDS.fullmatch(token):
        yield (Decimal("".join(parts)),)


def _comparable(text: str) -> str:
    """Make no difference between spellings of spaces, quotation marks, capitals and ends."""
    plain = _QUOTE_MARKS.sub("", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(plain.split()).strip(" .,;:!?")


def _values(data: JsonValue) -> Iterator[JsonValue]:
    """Yield every number, text, key and list."""
    waiting = [data]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one
            waiting += one.values()
        elif isinstance(one, list):
            yield one
            waiting += one
        elif one is not None and not isinstance(one, bool):
            yield one

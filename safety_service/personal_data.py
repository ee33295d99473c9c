"""Layer 5: finds what tells strangers who a child is and how to reach it.

Children put themselves into their wishes ("me and my dog"), and that is fine. What must not leave
the room is what leads to them: a phone number or e-mail address, an address that is somebody's,
or a name together with a school, a birthday or a street. A name, a town, a date or a house number
alone says nothing, so none of them counts alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from phonenumbers import Leniency, PhoneNumberMatcher

from safety_service.model import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

PHONE_REGION = "DE"
"""Where numbers without a country are dialled."""

_LEAST_PHONE_DIGITS = 7
_MAX_FINDINGS = 20
_MAX_PHONE_TRIES = 500  # digits that are no number, before the rest is left unread


class PersonalKind(StrEnum):
    """What kind of detail it is."""

    EMAIL = "email"
    PHONE = "phone"
    ADDRESS = "address"
    NAME = "name"
    SCHOOL = "school"
    BIRTHDAY = "birthday"


@dataclass(frozen=True, slots=True)
class PersonalDetail:
    """A detail of a person.

    Attributes:
        kind: What it is.
        span: Where it stands.
    """

    kind: PersonalKind
    span: Span


_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,3}\.[a-z]{2,24}\b")
_SPELT_EMAIL = re.compile(
    r"[\w.+-]{1,64}\s?(?:@|\(at\)|\[at\]|\bät\b)\s?[\w-]{1,63}"
    r"\s?(?:\(dot\)|\(punkt\)|\[dot\]|\bdot\b|\bpunkt\b|\.(?!\s))\s?[a-z]{2,6}\b",
    re.IGNORECASE,
)
_EMAIL_SIGNS = ("@", "(at)", "[at]", " ät ")
_OWN_PHONE = re.compile(r"[+(]?\s?(?:\+|0)")
_HOUSE = r"\s?(?:nr\.?\s?|nummer\s)?\d{1,4}\s?[a-h]?\b"
_STREET = re.compile(
    r"\b(?:[a-zäöüß-]{1,40}(?:stra(?:ß|ss)e|str\.|gasse|weg|allee|ufer|damm|chaussee|steig)"
    r"|(?!(?:auf|am|de[mnr]|die|das|eine?[mnr]?|mein|kein)\s)[a-zäöüß.-]{1,40}\s"
    r"(?:stra(?:ß|ss)e|str\.|gasse|weg|allee|platz|ring|chaussee))" + _HOUSE,
    re.IGNORECASE,
)
_ENGLISH_STREET = re.compile(
    r"\b\d{1,5}\s(?:[a-z]+\s){1,3}(?:street|st\.?|road|rd\.?|avenue|ave\.?|lane|drive|close)\b",
    re.IGNORECASE,
)
_POSTCODE = re.compile(r"\b\d{5}\s+[A-ZÄÖÜ][a-zäöüß]{2,}|\b[A-Z]{1,2}\d{1,2}[A-Z]?\s\d[A-Z]{2}\b")
_LIVES = re.compile(
    r"\b(?:ich|wir|er|sie|freundin?|oma|opa|familie)\b[^.!?]{0,40}\bwohn(?:e|en|t)\b"
    r"|\bwohn(?:e|en)\s(?:ich|wir)\b|\bmeine\s(?:adresse|anschrift)\b|\bzu\smir\snach\shause\b"
    r"|\b(?:i|we|he|she|friend)\s(?:live|lives)\b|\bmy\s(?:home\s)?address\b",
    re.IGNORECASE,
)
_NO_SURNAME = (
    r"(?!(?:und|oder|aber|aus|bin|ist|der|die|das|wie|mit|in|im|am|ein|eine|einen|ich|mein|meine"
    r"|möchte|will|wünsche|and|or|but|from|with|am|is|the|a|an|i|my|who|want|would|like)\b)"
)
_NAME = re.compile(
    r"\b(?:ich\s(?:heiße|heisse)|mein\s(?:voller\s)?name\s(?:ist|lautet)|my\s(?:full\s)?name(?:\sis|'s)"
    r"|i(?:\sam|'m)\scalled)\s+"
    + _NO_SURNAME
    + r"[a-zäöüß-]{2,40}(?:\s"
    + _NO_SURNAME
    + r"[a-zäöüß-]{2,40})?",
    re.IGNORECASE,
)
_NAMED_IN_PASSING = re.compile(
    r"\b(?:(?:Ich|ich)\s(?:bin|bins)|(?:I|i)(?:'m|\sam))\s[A-ZÄÖÜ][a-zäöüß]{2,20}\b"
)
_NAME_SIGNS = ("heiß", "heiss", "name", "called", "ich bin", "i'm", "i am")
_SCHOOL = re.compile(
    r"\b(?:gehe?|bin|lerne|go|study|am)\b[^.!?]{0,30}?\b(?:(?!grund|haupt|real|musik|tanz|fahr|mal|"
    r"koch|hoch|baum|tier|zauber|hexen|ski|flug|schwimm|unterwasser)[a-zäöüß-]{3,40}-?(?:grund|haupt|"
    r"real|gesamt|ober)?schule|[a-zäöüß-]{3,40}-?gymnasium|[A-Z][a-z]+\s(?:primary|elementary|"
    r"middle|high|grammar)\sschool)\b",
    re.IGNORECASE,
)
_MONTH = (
    r"(?:januar|februar|märz|april|mai|juni|juli|august|september|oktober|november|dezember|january"
    r"|february|march|may|june|july|october|december)"
)
_DATE = (
    r"(?:\d{1,2}\.\s?(?:\d{1,2}\.|"
    + _MONTH
    + r")|\d{1,2}(?:st|nd|rd|th)?\s(?:of\s)?"
    + _MONTH
    + "|"
    + (_MONTH + r"\s\d{1,2})")
)
_BIRTHDAY = re.compile(
    r"\b(?:geboren|geburtstag|geburtsdatum|born|birthday|birthdate)\b[^.!?]{0,25}"
    + _DATE
    + r"|"
    + _DATE
    + r"[^.!?]{0,25}\b(?:geboren|geburtstag|born|birthday)\b",
    re.IGNORECASE,
)


def find_personal_data(text: str) -> list[PersonalDetail]:
    """Find the details that together or alone lead to a person.

    Args:
        text: What was written.

    Returns:
        The details in the order of the text; empty when there are none, or none that lead to
        anybody.
    """
    lower = text.lower()
    digits = sum(map(str.isdecimal, text))
    found: list[PersonalDetail] = []
    if any(sign in lower for sign in _EMAIL_SIGNS):
        found += _all(PersonalKind.EMAIL, _EMAIL, text) or _all(
            PersonalKind.EMAIL, _SPELT_EMAIL, text
        )
    if digits >= _LEAST_PHONE_DIGITS:
        found += _phones(text)
    addresses = _addresses(text) if digits else []
    if any(sign in lower for sign in _NAME_SIGNS):
        found += _named(text, addresses)
    if addresses and (_LIVES.search(text) or _POSTCODE.search(text)):
        found += addresses
    unique = {detail.span: detail for detail in found}
    return sorted(unique.values(), key=lambda detail: detail.span.start)[:_MAX_FINDINGS]


def _addresses(text: str) -> list[PersonalDetail]:
    kind = PersonalKind.ADDRESS
    return _all(kind, _STREET, text) + _all(kind, _ENGLISH_STREET, text)


def _named(text: str, addresses: list[PersonalDetail]) -> list[PersonalDetail]:
    """A name that somebody gives as the own one, with whatever leads to its bearer."""
    kind = PersonalKind.NAME
    names = _all(kind, _NAME, text) or _all(kind, _NAMED_IN_PASSING, text)
    if not names:
        return []
    more = [
        *addresses,
        *_all(PersonalKind.SCHOOL, _SCHOOL, text),
        *_all(PersonalKind.BIRTHDAY, _BIRTHDAY, text),
    ]
    return names + more if more else []


def _all(kind: PersonalKind, pattern: re.Pattern[str], text: str) -> list[PersonalDetail]:
    return [PersonalDetail(kind, Span(*match.span())) for match in pattern.finditer(text)]


def _phones(text: str) -> Iterator[PersonalDetail]:
    """Numbers that can be dialled and are written as one dials: others are dates and sums."""
    matches = PhoneNumberMatcher(text, PHONE_REGION, Leniency.VALID, max_tries=_MAX_PHONE_TRIES)
    for match in islice(matches, _MAX_FINDINGS):
        if _OWN_PHONE.match(match.raw_string):
            yield PersonalDetail(PersonalKind.PHONE, Span(match.start, match.end))

"""Personal details of children: what leads to them is found, what belongs to a wish is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety_service.model import Category, Decision, Direction, Level, Outcome
from safety_service.personal_data import find_personal_data

if TYPE_CHECKING:
    from safety_service.text_check import TextChecker

WISHES = Path(__file__).parent / "harmless_wishes.txt"
TRAINING = Path(__file__).parents[3] / "training"
TELLING = {
    "email": [
        "Schreib mir an lena.m@gmx.de, wenn das Bild fertig ist",
        "meine mail ist tim (at) web.de",
        "lena punkt müller ät gmx punkt de",
        "my e-mail is emma@example.co.uk",
    ],
    "phone": [
        "Meine Telefonnummer ist 0170 1234567, male ein Pferd dazu",
        "Ruf mich an: 030/1234567",
        "call me +49 151 23456789",
        "my phone number is +44 20 7946 0958",
    ],
    "address": [
        "Ich wohne in der Bahnhofstraße 12 und habe einen Hund",
        "ich wohne am birkenweg 5",
        "Meine Adresse ist Lindenallee 7a",
        "Max Müller, Hauptstraße 5, 12345 Berlin",
        "I live at 221 Baker Street",
        "my address is 5 Green Lane",
    ],
    "school": [
        "Ich heiße Lena Müller und gehe auf die Astrid-Lindgren-Grundschule",
        "ich heisse tim und gehe in die goetheschule",
        "Hallo, ich bin Tim und gehe in die Goetheschule",
        "I'm Emma and I go to Oakfield Primary School",
        "Ich heiße Tom Berg. Ich gehe auf das Schiller-Gymnasium.",
        "My name is Emma Brown and I go to Oakfield Primary School",
    ],
    "birthday": [
        "Ich heiße Mia Wolf und habe am 3. Mai Geburtstag",
        "Ich heiße Ole, geboren am 3.5.2014",
        "My name is Ben Hill and my birthday is May 3",
    ],
}
HARMLESS = [
    "Mein Freund Max spielt Fußball",
    "Ich heiße Lena und möchte ein Pferd mit Flügeln",
    "Ich heiße Lena Müller",
    "Schloss Neuschwanstein im Nebel",
    "Am 24. Dezember kommt das Christkind",
    "Ich bin Pirat und gehe in die Zauberschule",
    "ich bin müde und gehe in die Schule",
    "I'm a pirate and I was born on May 3",
    "Mein Geburtstag ist am 3. Mai, male eine Torte",
    "Ein Haus mit der Hausnummer 12",
    "Ein Haus in der Sesamstraße 12",
    "Ein Hund läuft auf dem Weg 3 Katzen nach, und ich wohne dort",
    "Ich wohne in einem Schloss mit 100 Zimmern",
    "Ich gehe in die Zauberschule und treffe einen Drachen",
    "Ich heiße Harry und gehe auf die Zauberschule",
    "100000000 Sterne am Himmel und 2000000 Kometen",
    "Rennauto Nummer 46 auf dem Weg zum Ziel",
    "Ein Zug mit der Nummer 0815",
    "my name is Emma and I like horses",
    "I live in a castle with 12 towers on May 3",
    "Ein @ aus Schokolade. Und eine Torte.",
]


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in TELLING.items() for text in texts]
)
def test_what_leads_to_a_child_is_found(checker: TextChecker, kind: str, text: str) -> None:
    """It is asked to leave it out, at both ages, and told where; adults may say what they like."""
    details = find_personal_data(text)
    assert kind in {detail.kind for detail in details}
    for level in (Level.KIDS, Level.YOUTH):
        verdict = checker.check(text, level, Direction.INPUT)
        assert verdict.decision is Decision.BLOCK
        assert verdict.reasons[0].category is Category.PERSONAL_DATA
        assert verdict.reasons[0].span is not None and verdict.reasons[0].layer == 5
        assert "lass" in verdict.message.de.lower() and "leave" in verdict.message.en
        outcomes = {run.name: run.outcome for run in verdict.checks}
        assert outcomes["personal_data"] is Outcome.HIT
    assert checker.check(text, Level.ADULT, Direction.INPUT).decision is Decision.ALLOW


@pytest.mark.parametrize("text", HARMLESS)
def test_what_belongs_to_a_wish_passes(text: str) -> None:
    """First names, dates, towns, house numbers and great numbers are no personal data."""
    assert not find_personal_data(text)


def test_children_are_hardly_ever_asked_for_nothing() -> None:
    """Of thousands of wishes and sentences in many voices, none has a stranger's address."""
    files = [WISHES, *TRAINING.rglob("*.txt")]
    texts = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    hit = [text for text in texts if find_personal_data(text)]
    assert len(texts) > 3_000 and not hit


@settings(deadline=None)  # on a busy machine any text may take long
@given(text=st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    """Whatever is written, details lie in it and in order."""
    details = find_personal_data(text)
    assert all(0 <= d.span.start < d.span.end <= len(text) for d in details)
    assert [d.span.start for d in details] == sorted(d.span.start for d in details)

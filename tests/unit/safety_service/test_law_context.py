"""What makes the use of a forbidden sign lawful, rule by rule; the law suite measures the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from safety_service.law_context import read_law_context
from safety_service.model import Decision, Direction, Level
from safety_service.normalise import Normaliser

if TYPE_CHECKING:
    from safety_service.text_check import TextChecker


def _passes(checker: TextChecker, text: str, level: Level = Level.OFF) -> bool:
    return checker.check(text, level, Direction.INPUT).decision is Decision.ALLOW


@pytest.mark.parametrize(
    ("text", "lawful"),
    [
        ("Ein Hakenkreuz", False),
        ("Ein durchgestrichenes Hakenkreuz", True),
        ("Ein cooler Sticker: Hakenkreuz durchgestrichen", True),
        ("Ein Hakenkreuz, nicht durchgestrichen", False),
        ("Ein Hakenkreuz im Museum", True),
        ("Ein cooles Hakenkreuz im Museum", False),
        ("Ein Hakenkreuz im Museum zu Ehren unserer Helden", False),
        ("Die Polizei und ein Hakenkreuz", False),
        ("Die Polizei und ein Hakenkreuz vor Gericht", True),
        ("Hatte Hitler einen Hund?", True),
        ("Hatte Hitler einen Hund? Unserer heißt Bello", True),
        ("Einen Hund hatte Hitler", False),
        ("Wie zeichne ich ein Hakenkreuz?", False),
        ("Magst du Hunde? Ein Hakenkreuz", False),
        ("Was bedeutet „Heil dem großartigen Hitler“?", True),
        ("Was bedeutet Hitler? Er ist großartig", False),
    ],
)
def test_a_use_is_lawful_by_what_is_said_around_it(
    checker: TextChecker, text: str, lawful: bool
) -> None:
    """Opposed, taught or asked about: lawful; praised, honoured or wished for: not."""
    assert _passes(checker, text) is lawful


def test_a_cue_far_away_makes_nothing_lawful(checker: TextChecker) -> None:
    """What is said 200 characters away is about something else."""
    assert not _passes(checker, "Ein Museum. " + "Es regnet und regnet. " * 12 + "Ein Hakenkreuz")


def test_no_context_makes_the_abuse_of_children_lawful(checker: TextChecker) -> None:
    """§ 86 (4) is about signs; other law lists have no such exception."""
    assert not _passes(checker, "Im Museum: sexy Kinder nackt")


def test_the_words_of_a_lawful_use_are_not_held_against_it(checker: TextChecker) -> None:
    """A caricature may mock; mocking a person stays bullying."""
    assert _passes(checker, "Eine Karikatur verspottet das Hakenkreuz", Level.KIDS)


@pytest.mark.parametrize(
    "text",
    [
        "n a z i f l a g",
        "Alles für D*utschland",
        "Alles für Deut schland",
        "Das ist das H*kenkreuzplakat",
        "ein Haaaamasss heeeeadbanddd",
        "L o n g l i v e I S I S",
    ],
)
def test_hidden_words_of_a_slogan_are_put_right(checker: TextChecker, text: str) -> None:
    """Stars, gaps and repetitions hide no term of several words."""
    assert not _passes(checker, text)


def test_faults_of_the_cues_are_named_with_their_line() -> None:
    """A role that is unknown, a cell that is missing."""
    _, faults = read_law_context("# x\npraise\tde\ttoll\nlove\tde\ttoll\nhint\tde\n", Normaliser())
    assert [fault.split(": ")[0] for fault in faults] == [
        "law_context.tsv:3",
        "law_context.tsv:4",
    ]

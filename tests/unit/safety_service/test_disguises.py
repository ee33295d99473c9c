"""Disguises: they hide no blocked term, and they make no harmless sentence suspicious."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from safety_service.model import Decision, Direction, Level
from tests.unit.safety_service.mutations import disguised
from training.authors import own_texts

if TYPE_CHECKING:
    from safety_service.text_check import TextChecker

_FOLDER = Path(__file__).parent
_HARMLESS = 500
# How many disguises are drawn, and which share may go wrong: of few a single one weighs more.
_FEW = (400, 0.02)
_MANY = pytest.param(10_000, 0.01, marks=[pytest.mark.drill, pytest.mark.timeout(1_200)])


def _lines(name: str) -> list[str]:
    lines = (_FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _harmless() -> list[str]:
    """Sentences of children: those of the tests, then wishes of our made-up authors, spread."""
    own = [text.text for text in own_texts() if text.kind == "wish"]
    wishes = _lines("harmless_wishes.txt")
    missing = _HARMLESS - len(wishes)
    return wishes + own[:: len(own) // missing][:missing]


def _blocked(checker: TextChecker, texts: list[str], count: int) -> dict[str, bool]:
    """Whether each of so many disguises is blocked, by `original -> disguise`."""
    found: dict[str, bool] = {}

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(disguised(st.sampled_from(texts)))
    def judge(pair: tuple[str, str]) -> None:
        verdict = checker.check(pair[1], Level.KIDS, Direction.INPUT)
        found[" -> ".join(pair)] = verdict.decision is Decision.BLOCK

    judge()
    return found


@pytest.mark.parametrize(("count", "share"), [_FEW, _MANY])
def test_blocked_terms_stay_blocked_in_disguise(
    checker: TextChecker, count: int, share: float
) -> None:
    """Of 200 blocked terms under random disguises at least 99 % are still blocked."""
    terms = _lines("blocked_terms.txt")
    assert len(terms) == 200
    found = _blocked(checker, terms, count)
    missed = [pair for pair, blocked in found.items() if not blocked]
    assert len(missed) <= share * len(found), missed[:50]


@pytest.mark.parametrize(("count", "share"), [_FEW, _MANY])
def test_harmless_sentences_stay_harmless_in_disguise(
    checker: TextChecker, count: int, share: float
) -> None:
    """Of 500 harmless sentences under the same disguises at most 1 % are blocked."""
    sentences = _harmless()
    assert len(sentences) == _HARMLESS
    found = _blocked(checker, sentences, count)
    caught = [pair for pair, blocked in found.items() if blocked]
    assert len(caught) <= share * len(found), caught[:50]

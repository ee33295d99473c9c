"""What `stellwerk safety explain` shows."""

from __future__ import annotations

import pytest

from safety_service.explain import explain
from safety_service.model import Decision, Outcome


def test_it_shows_readings_terms_and_checks() -> None:
    """A disguised word appears with its reading, its place and the check that found it."""
    explanation = explain("Ein hur3nsohn mit Bart", "kids")
    assert explanation.verdict.decision is Decision.BLOCK
    assert "ein hurensohn mit bart" in explanation.readings
    term = next(term for term in explanation.terms if term.counts)
    assert (term.text, term.start, term.end) == ("hur3nsohn", 4, 13)
    assert Outcome.HIT in {check.outcome for check in explanation.verdict.checks}


def test_it_shows_what_the_classifier_makes_of_a_text() -> None:
    """Also a score that blocks nothing; levels that do not ask have none."""
    judgement = explain("Eine Blume auf der Wiese", "kids").judgement
    assert judgement is not None and judgement.score < 0.3 and judgement.known == 1
    assert explain("Eine Blume auf der Wiese", "adult").judgement is None


def test_it_tells_why_a_term_does_not_count() -> None:
    """Covered, lawful, needing a context, not at this level: each is said."""
    assert explain("Tag der Toten Killerwal", "kids").terms == ()
    why = {term.why_not for term in explain("killer whale", "kids").terms}
    assert why == {"allowed"}
    assert "level" in {term.why_not for term in explain("Blut", "adult").terms}
    assert "needs" in {term.why_not for term in explain("88 Drachen", "kids").terms}
    lesson = explain("Ein Hakenkreuz im Museum", "kids").terms
    assert "context:lawful.de.museum" in {term.why_not for term in lesson}


def test_an_unknown_level_is_an_error() -> None:
    """There is no level beside the four."""
    with pytest.raises(ValueError, match="toddlers"):
        explain("Blume", "toddlers")

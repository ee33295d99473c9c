"""The § 86a rail, measured: what glorifies is blocked, what the law allows passes."""

from __future__ import annotations

from collections import Counter

from tests.law_suite.cases import GLORIFY, HOMONYM, LANGUAGES, USES, cases


def test_the_suite_covers_every_use_in_every_language() -> None:
    """At least 3 000 cases, and in both parts enough of each use to say something."""
    made = cases()
    assert len(made) >= 3_000
    parts = Counter((case.use, case.frozen) for case in made)
    assert all(parts[use, frozen] >= 200 for use in USES for frozen in (True, False))
    spoken = Counter((case.use, case.language) for case in made if case.use != HOMONYM)
    assert all(spoken[use, language] >= 100 for use in USES[:-1] for language in LANGUAGES)
    assert sum(case.use == GLORIFY for case in made) >= 1_500

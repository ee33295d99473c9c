"""Quick layers that break: the decision is UNAVAILABLE wherever they were needed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from safety_service.model import Decision, Direction, Level, Outcome, TextQuestion
from safety_service.text_review import TextReview

if TYPE_CHECKING:
    from safety_service.policy import Policy

MINORS = (Level.KIDS, Level.YOUTH)


class Broken:
    """A part of the policy that fails in every way it is used."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("broken on purpose")


@pytest.mark.parametrize("part", ["normaliser", "terms", "classifier"])
@pytest.mark.parametrize("level", Level)
async def test_a_broken_layer_lets_nothing_pass(policy: Policy, part: str, level: Level) -> None:
    """Law and folding are needed at every level, the classifier for minors."""
    broken: Any = {part: Broken()}
    review = TextReview(lambda: replace(policy, **broken), guard=None)
    text = "Eine Blume auf der Wiese. " * (200 if part == "terms" else 1)  # long: in a thread
    verdict = await review.check(TextQuestion(text, level, Direction.INPUT))
    needed = part != "classifier" or level in MINORS
    assert verdict.decision is (Decision.UNAVAILABLE if needed else Decision.ALLOW)
    if needed:
        assert {run.outcome for run in verdict.checks} == {Outcome.FAILED}
        assert verdict.message.de and not verdict.reasons

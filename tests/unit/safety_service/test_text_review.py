"""Quick layers that break: the decision is UNAVAILABLE wherever they were needed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from safety_service.model import (
    CLASSIFIER,
    PERSONAL_DATA,
    Decision,
    Direction,
    Level,
    Outcome,
    TextQuestion,
)
from safety_service.text_check import TextChecker
from safety_service.text_review import TextReview

if TYPE_CHECKING:
    from safety_service.personal_data import PersonalDetail
    from safety_service.policy import Policy

MINORS = (Level.KIDS, Level.YOUTH)


class Broken:
    """A part of the policy that fails in every way it is used."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("broken on purpose")


class BrokenPersonalData:
    """A search for personal details that never ends well."""

    def __call__(self, text: str) -> list[PersonalDetail]:
        raise RuntimeError("broken on purpose")


def _broken(policy: Policy, part: str) -> TextReview:
    if part == PERSONAL_DATA:
        return TextReview(
            lambda: policy, None, lambda found: TextChecker(found, BrokenPersonalData())
        )
    broken: Any = {part: Broken()}
    return TextReview(lambda: replace(policy, **broken), guard=None)


@pytest.mark.parametrize("part", ["normaliser", "terms", "law_context", CLASSIFIER, PERSONAL_DATA])
@pytest.mark.parametrize("level", Level)
async def test_a_broken_layer_lets_nothing_pass(policy: Policy, part: str, level: Level) -> None:
    """Law and folding are needed at every level, classifier and personal data for minors."""
    text = "Eine Blume auf der Wiese. " * (200 if part == "terms" else 1)  # long: in a thread
    verdict = await _broken(policy, part).check(TextQuestion(text, level, Direction.INPUT))
    needed = part not in (CLASSIFIER, PERSONAL_DATA) or level in MINORS
    assert verdict.decision is (Decision.UNAVAILABLE if needed else Decision.ALLOW)
    if needed:
        assert verdict.message.de and not verdict.reasons
        failed = {run.name for run in verdict.checks if run.outcome is Outcome.FAILED}
        assert failed == {part} or part not in (CLASSIFIER, PERSONAL_DATA)
        assert failed


@pytest.mark.parametrize("part", [CLASSIFIER, PERSONAL_DATA])
async def test_a_refusal_is_said_before_an_outage(policy: Policy, part: str) -> None:
    """What another layer refuses for certain is refused, whatever broke besides."""
    question = TextQuestion("Eine Hakenkreuzfahne am Haus", Level.KIDS, Direction.INPUT)
    verdict = await _broken(policy, part).check(question)
    assert verdict.decision is Decision.BLOCK
    assert Outcome.FAILED in {run.outcome for run in verdict.checks}


@pytest.mark.parametrize("part", [CLASSIFIER, PERSONAL_DATA])
async def test_adults_pass_with_a_warning_where_the_policy_says_so(
    policy: Policy, part: str
) -> None:
    """A deployment may ask the age checks of adults, too; their failure only warns there."""
    rule = policy.checks[part]
    asked = {**rule.directions, Level.ADULT: (Direction.INPUT,)}
    checks = {**policy.checks, part: rule.model_copy(update={"directions": asked})}
    review = _broken(replace(policy, checks=checks), part)
    verdict = await review.check(TextQuestion("Eine Blume", Level.ADULT, Direction.INPUT))
    assert verdict.decision is Decision.ALLOW and verdict.warning and verdict.message.en

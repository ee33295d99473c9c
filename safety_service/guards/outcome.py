"""What follows from a guard's word, the same for texts and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safety_service.guards.interface import Rating
from safety_service.model import Reason, Severity

if TYPE_CHECKING:
    from safety_service.guards.interface import GuardAnswer
    from safety_service.model import Level
    from safety_service.policy import CheckRule


def guard_blocks(answer: GuardAnswer, rule: CheckRule, level: Level) -> bool:
    """Whether a guard's answer stops the content at a level."""
    if answer.rating is Rating.CONTROVERSIAL:
        return rule.guard is None or rule.guard.controversial[level] == "block"
    return answer.rating is Rating.UNSAFE


def guard_reasons(answer: GuardAnswer, rule: CheckRule) -> tuple[Reason, ...]:
    """What a guard found, as reasons of its layer."""
    return tuple(
        Reason(category, answer.score, rule.layer, Severity.BLOCK) for category in answer.categories
    )

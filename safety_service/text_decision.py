"""Puts together what the term lists and the classifier say of a text.

A listed word alone says little ("blood", "shoot"), a score alone misses what is rare; together they
decide more than either. This is the one place that says how, and when they are too unsure, so that
a guard model should decide, where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safety_service.model import TERMS_AGE, TERMS_LAW, OnFailure, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from safety_service.classifier import Judgement
    from safety_service.finding import Finding
    from safety_service.model import Level
    from safety_service.policy import CheckRule, ClassifierRule


@dataclass(frozen=True, slots=True)
class TextDecision:
    """What holds of a text while no guard is asked.

    Attributes:
        findings: The listed terms that block, strongest first.
        classified: Whether the classifier blocks by itself.
        warned: Whether something that nobody could answer passes with a warning.
        grey: Whether the layers are unsure, so that a guard, where there is one, should decide
            instead of them. Never when a term of the law or of severity `block` was found.
    """

    findings: tuple[Finding, ...]
    classified: bool
    warned: bool
    grey: bool


class TextDecider:
    """Decides by the scores of one policy."""

    def __init__(self, rule: ClassifierRule) -> None:
        """Use scores.

        Args:
            rule: The scores from which the classifier blocks, answers or is unsure.
        """
        self._rule = rule

    def decide(
        self,
        counted: Sequence[Finding],
        judgement: Judgement | None,
        level: Level,
        rules: Mapping[str, CheckRule],
    ) -> TextDecision:
        """Decide on a text.

        Args:
            counted: The listed terms that speak against it at the level.
            judgement: What the classifier makes of it, None where it is not asked.
            level: For whom it must be fit.
            rules: The checks of the level.

        Returns:
            The decision.
        """
        certain = [f for f in counted if not _asks(f)]
        open_questions = [f for f in counted if _asks(f)]
        understood = judgement if judgement is not None and self.understands(judgement) else None
        blocking, warned = self._answer(open_questions, understood, level, rules)
        return TextDecision(
            findings=(*sorted(certain, key=lambda f: not f.entry.law), *blocking),
            classified=understood is not None and self._blocks(understood, level),
            warned=warned,
            grey=not certain
            and not any(f.entry.law for f in open_questions)
            and self._unsure(bool(open_questions), judgement, level),
        )

    def understands(self, judgement: Judgement) -> bool:
        """Whether the text is in a language that the classifier learned."""
        return judgement.known >= self._rule.least_known

    def _blocks(self, judgement: Judgement, level: Level) -> bool:
        return judgement.score >= self._rule.thresholds[level][judgement.category]

    def _answer(
        self,
        open_questions: Sequence[Finding],
        judgement: Judgement | None,
        level: Level,
        rules: Mapping[str, CheckRule],
    ) -> tuple[list[Finding], bool]:
        """Those of them that block, and whether one passes with a warning.

        The classifier answers for the ages; what it cannot read, and every question of law, is
        left to the failure policy of the check.
        """
        blocking, warned = [], False
        for finding in open_questions:
            if judgement is not None and not finding.entry.law:
                if judgement.score >= self._rule.asked[level]:
                    blocking.append(finding)
            elif rules[check_of(finding)].on_failure[level] is OnFailure.BLOCK:
                blocking.append(finding)
            else:
                warned = True
        return blocking, warned

    def _unsure(self, asked: bool, judgement: Judgement | None, level: Level) -> bool:
        """Whether the score says neither yes nor no; a term that asks leaves only a clear yes."""
        if judgement is None or not self.understands(judgement):
            return asked
        lowest, highest = self._rule.grey[level]
        return judgement.score < highest and (asked or judgement.score >= lowest)


def check_of(finding: Finding) -> str:
    """The check that a listed term belongs to."""
    return TERMS_LAW if finding.entry.law else TERMS_AGE


def _asks(finding: Finding) -> bool:
    return finding.severity is Severity.ASK

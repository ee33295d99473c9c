"""Judges texts: runs the layers of a level, cheapest first, and puts the verdict together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safety_service.model import (
    CLASSIFIER,
    NORMALISE,
    PERSONAL_DATA,
    TERMS_AGE,
    TERMS_LAW,
    Category,
    CheckRun,
    Decision,
    Direction,
    Level,
    Message,
    Outcome,
    Reason,
    Severity,
    Verdict,
    text_digest,
)
from safety_service.personal_data import find_personal_data
from safety_service.text_decision import TextDecider, check_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safety_service.classifier import Judgement
    from safety_service.personal_data import PersonalDetail
    from safety_service.policy import CheckRule, Policy
    from safety_service.terms import Finding
    from safety_service.text_decision import TextDecision

_MAX_REASONS = 20  # of a text full of hits the first ones say enough


@dataclass(frozen=True, slots=True)
class TextTrace:
    """A verdict with everything that led to it, for `explain`.

    Attributes:
        verdict: The verdict.
        readings: The text as layer 1 reads it, the plain reading first.
        findings: Every listed term found, also those that do not count.
        counted: Those of them that speak against the text at the level.
        judgement: What the classifier makes of it; None at levels that do not ask it.
        grey: Whether a guard, where there is one, should decide instead: see `TextDecision`. The
            verdict is what holds without.
    """

    verdict: Verdict
    readings: tuple[str, ...]
    findings: tuple[Finding, ...]
    counted: tuple[Finding, ...]
    judgement: Judgement | None
    grey: bool


class TextChecker:
    """Judges texts by one policy."""

    def __init__(self, policy: Policy) -> None:
        """Use a policy.

        Args:
            policy: The loaded policy.
        """
        self._policy = policy
        self._decider = TextDecider(policy.classifier_rule)

    def check(self, text: str, level: Level, direction: Direction) -> Verdict:
        """Judge a text.

        Args:
            text: 1 to `MAX_TEXT_LENGTH` characters; the caller checks this.
            level: For whom it must be fit.
            direction: Who wrote it.

        Returns:
            The verdict.
        """
        return self.trace(text, level, direction).verdict

    def trace(self, text: str, level: Level, direction: Direction) -> TextTrace:
        """Judge a text and keep what every layer saw; see `check`."""
        rules = self._policy.rules(level, "text", direction)
        started = time.perf_counter()
        normalised = self._policy.normaliser.normalise(text)
        readings = (normalised.plain, *normalised.disguised)
        folded = time.perf_counter()
        findings = self._policy.law_context.judge(normalised, self._policy.terms.find(normalised))
        found = time.perf_counter()
        judgement = None
        if CLASSIFIER in rules:
            judgement = self._policy.classifier.judge(normalised.clear)
        scored = time.perf_counter()
        personal = find_personal_data(text) if PERSONAL_DATA in rules else []
        seconds = {NORMALISE: folded - started, CLASSIFIER: scored - found}
        seconds[PERSONAL_DATA] = time.perf_counter() - scored
        seconds[TERMS_LAW] = seconds[TERMS_AGE] = found - folded
        counted = [f for f in findings if not f.excused and check_of(f) in rules]
        counted = [f for f in counted if level in f.entry.levels]
        decided = self._decider.decide(counted, judgement, level, rules)
        reasons = [_reason(f, rules) for f in decided.findings[:_MAX_REASONS]]
        reasons += [_personal(detail, rules) for detail in personal]
        if judgement is not None and decided.classified:
            reasons.append(_classified(judgement, rules))
        verdict = Verdict(
            decision=Decision.BLOCK if reasons else Decision.ALLOW,
            level=level,
            reasons=tuple(reasons),
            checks=self._runs(rules, decided, judgement, seconds, personal=bool(personal)),
            policy_version=self._policy.version,
            content_sha256=text_digest(text),
            message=self._message(reasons, level, warned=decided.warned),
            warning=decided.warned and not reasons,
        )
        grey = decided.grey and not personal  # no guard decides on somebody's address
        seen = tuple(view.text.strip() for view in readings)
        return TextTrace(verdict, seen, tuple(findings), tuple(counted), judgement, grey)

    def _runs(
        self,
        rules: dict[str, CheckRule],
        decided: TextDecision,
        judgement: Judgement | None,
        seconds: dict[str, float],
        *,
        personal: bool,
    ) -> tuple[CheckRun, ...]:
        """Every check of the level, in order, with what became of it."""
        outcomes = dict.fromkeys(rules, Outcome.PASSED)
        outcomes |= {check_of(finding): Outcome.HIT for finding in decided.findings}
        if personal:
            outcomes[PERSONAL_DATA] = Outcome.HIT
        details = {}
        if decided.classified:
            outcomes[CLASSIFIER] = Outcome.HIT
        elif judgement is not None and not self._decider.understands(judgement):
            outcomes[CLASSIFIER] = Outcome.SKIPPED
            details[CLASSIFIER] = "unknown_language"
        return tuple(
            CheckRun(name, rule.layer, outcomes[name], details.get(name, ""), seconds[name])
            for name, rule in rules.items()
            if name in seconds  # a guard is asked afterwards, by `TextReview`
        )

    def _message(self, reasons: Sequence[Reason], level: Level, *, warned: bool) -> Message:
        if reasons:
            return self._policy.refusal(reasons[0].category, level)
        return self._policy.warning(level) if warned else Message()


def _reason(finding: Finding, rules: dict[str, CheckRule]) -> Reason:
    return Reason(
        category=finding.entry.category,
        score=1.0,
        layer=rules[check_of(finding)].layer,
        severity=finding.entry.severity,
        span=finding.span,
        entry_id=finding.entry.id,
    )


def _classified(judgement: Judgement, rules: dict[str, CheckRule]) -> Reason:
    return Reason(
        category=judgement.category,
        score=judgement.score,
        layer=rules[CLASSIFIER].layer,
        severity=Severity.BLOCK,
    )


def _personal(detail: PersonalDetail, rules: dict[str, CheckRule]) -> Reason:
    return Reason(
        category=Category.PERSONAL_DATA,
        score=1.0,
        layer=rules[PERSONAL_DATA].layer,
        severity=Severity.BLOCK,
        span=detail.span,
    )

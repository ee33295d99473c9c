"""Judges texts: runs the layers of a level, cheapest first, and puts the verdict together."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safety_service.model import (
    CheckRun,
    Decision,
    Direction,
    Level,
    Message,
    OnFailure,
    Outcome,
    Reason,
    Severity,
    Verdict,
)
from safety_service.policy import CLASSIFIER, NORMALISE, TERMS_AGE, TERMS_LAW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safety_service.classifier import Judgement
    from safety_service.policy import CheckRule, Policy
    from safety_service.terms import Finding

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
    """

    verdict: Verdict
    readings: tuple[str, ...]
    findings: tuple[Finding, ...]
    counted: tuple[Finding, ...]
    judgement: Judgement | None


class TextChecker:
    """Judges texts by one policy."""

    def __init__(self, policy: Policy) -> None:
        """Use a policy.

        Args:
            policy: The loaded policy.
        """
        self._policy = policy

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
        findings = self._policy.terms.find(normalised)
        found = time.perf_counter()
        judgement = None
        if CLASSIFIER in rules:
            judgement = self._policy.classifier.judge(normalised.plain.text)
        seconds = {NORMALISE: folded - started, CLASSIFIER: time.perf_counter() - found}
        seconds[TERMS_LAW] = seconds[TERMS_AGE] = found - folded
        counted = [f for f in findings if not f.excused and _check_of(f) in rules]
        counted = [f for f in counted if level in f.entry.levels]
        decided, warned = self._decide(counted, rules, level)
        reasons = [_reason(f, rules) for f in decided[:_MAX_REASONS]]
        if judgement is not None and self._blocks(judgement, level):
            reasons.append(_classified(judgement, rules))
        verdict = Verdict(
            decision=Decision.BLOCK if reasons else Decision.ALLOW,
            level=level,
            reasons=tuple(reasons),
            checks=self._runs(rules, {*map(_check_of, decided)}, reasons, judgement, seconds),
            policy_version=self._policy.version,
            content_sha256=hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(),
            message=self._message(reasons, level, warned=warned),
            warning=warned and not reasons,
        )
        seen = tuple(view.text.strip() for view in readings)
        return TextTrace(verdict, seen, tuple(findings), tuple(counted), judgement)

    def _understood(self, judgement: Judgement) -> bool:
        """Whether the text is in a language that the classifier learned."""
        return judgement.known >= self._policy.classifier_rule.least_known

    def _blocks(self, judgement: Judgement, level: Level) -> bool:
        threshold = self._policy.classifier_rule.thresholds[level][judgement.category]
        return self._understood(judgement) and judgement.score >= threshold

    def _runs(
        self,
        rules: dict[str, CheckRule],
        hit: set[str],
        reasons: Sequence[Reason],
        judgement: Judgement | None,
        seconds: dict[str, float],
    ) -> tuple[CheckRun, ...]:
        """Every check of the level, in order, with what became of it."""
        outcomes = {name: Outcome.HIT if name in hit else Outcome.PASSED for name in rules}
        details = {}
        if judgement is not None:
            if not self._understood(judgement):
                outcomes[CLASSIFIER] = Outcome.SKIPPED
                details[CLASSIFIER] = "unknown_language"
            elif reasons and reasons[-1].layer == rules[CLASSIFIER].layer:
                outcomes[CLASSIFIER] = Outcome.HIT
        return tuple(
            CheckRun(name, rule.layer, outcomes[name], details.get(name, ""), seconds[name])
            for name, rule in rules.items()
        )

    @staticmethod
    def _decide(
        counted: Sequence[Finding], rules: dict[str, CheckRule], level: Level
    ) -> tuple[list[Finding], bool]:
        """What blocks, strongest first, and whether an open question passes with a warning.

        No layer of this build answers `ask`, so the failure policy of its check does.
        """
        open_questions = [f for f in counted if f.entry.severity is Severity.ASK]
        passed = [
            f
            for f in open_questions
            if rules[_check_of(f)].on_failure[level] is OnFailure.ALLOW_WITH_WARNING
        ]
        decided = [f for f in counted if f not in passed]
        decided.sort(key=lambda f: (f.entry.severity is Severity.ASK, not f.entry.law))
        return decided, bool(passed)

    def _message(self, reasons: Sequence[Reason], level: Level, *, warned: bool) -> Message:
        if reasons:
            return self._policy.refusal(reasons[0].category, level)
        return self._policy.warning(level) if warned else Message()


def _check_of(finding: Finding) -> str:
    return TERMS_LAW if finding.entry.law else TERMS_AGE


def _reason(finding: Finding, rules: dict[str, CheckRule]) -> Reason:
    return Reason(
        category=finding.entry.category,
        score=1.0,
        layer=rules[_check_of(finding)].layer,
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

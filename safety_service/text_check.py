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
from safety_service.policy import NORMALISE, TERMS_AGE, TERMS_LAW

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """

    verdict: Verdict
    readings: tuple[str, ...]
    findings: tuple[Finding, ...]
    counted: tuple[Finding, ...]


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
        started = time.perf_counter()
        normalised = self._policy.normaliser.normalise(text)
        readings = (normalised.plain, *normalised.disguised)
        folded = time.perf_counter()
        findings = self._policy.terms.find(normalised)
        seconds = {NORMALISE: folded - started}
        seconds[TERMS_LAW] = seconds[TERMS_AGE] = time.perf_counter() - folded
        rules = self._policy.rules(level, "text", direction)
        counted = [f for f in findings if not f.excused and _check_of(f) in rules]
        counted = [f for f in counted if level in f.entry.levels]
        decided, warned = self._decide(counted, rules, level)
        verdict = Verdict(
            decision=Decision.BLOCK if decided else Decision.ALLOW,
            level=level,
            reasons=tuple(_reason(f, rules) for f in decided[:_MAX_REASONS]),
            checks=tuple(_run(name, rule, decided, seconds) for name, rule in rules.items()),
            policy_version=self._policy.version,
            content_sha256=hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(),
            message=self._message(decided, level, warned=warned),
            warning=warned and not decided,
        )
        seen = tuple(view.text.strip() for view in readings)
        return TextTrace(verdict, seen, tuple(findings), tuple(counted))

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

    def _message(self, decided: Sequence[Finding], level: Level, *, warned: bool) -> Message:
        if decided:
            return self._policy.refusal(decided[0].entry.category, level)
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


def _run(
    name: str, rule: CheckRule, decided: Sequence[Finding], seconds: dict[str, float]
) -> CheckRun:
    hit = any(_check_of(finding) == name for finding in decided)
    return CheckRun(
        name=name,
        layer=rule.layer,
        outcome=Outcome.HIT if hit else Outcome.PASSED,
        duration_seconds=seconds[name],
    )

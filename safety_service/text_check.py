"""Judges texts: runs the layers of a level, cheapest first, and puts the verdict together."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import structlog

from safety_service.languages import OTHER, evident_languages
from safety_service.law_context import LAWFUL_USE
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
    OnFailure,
    Outcome,
    Reason,
    Severity,
    Verdict,
    text_digest,
)
from safety_service.personal_data import find_personal_data
from safety_service.text_decision import TextDecider, check_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from safety_service.classifier import Judgement
    from safety_service.finding import Finding
    from safety_service.normalise import Normalised
    from safety_service.personal_data import PersonalDetail
    from safety_service.policy import CheckRule, Policy
    from safety_service.text_decision import TextDecision

    FindPersonal = Callable[[str], list[PersonalDetail]]

log = structlog.get_logger(__name__)

_Found = TypeVar("_Found")
# The same words are in many languages: a text that shows another one must consist of known ones.
_SURELY_LEARNT = 0.75
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

    def __init__(self, policy: Policy, find_personal: FindPersonal = find_personal_data) -> None:
        """Use a policy.

        Args:
            policy: The loaded policy.
            find_personal: Finds the details that lead to a person.
        """
        self._policy = policy
        self._find_personal = find_personal
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
        """Judge a text and keep what every layer saw; see `check`.

        Raises:
            Exception: Whatever broke the search for terms, without which nothing is known.
        """
        rules = self._policy.rules(level, "text", direction)
        watch = _Watch(rules)
        normalised = watch.time(NORMALISE, lambda: self._policy.normaliser.normalise(text))
        findings = watch.time(TERMS_LAW, lambda: self._terms(normalised))
        watch.seconds[TERMS_AGE] = watch.seconds[TERMS_LAW]
        judgement = watch.attempt(CLASSIFIER, lambda: self._judge(normalised, findings))
        personal = watch.attempt(PERSONAL_DATA, lambda: self._find_personal(text)) or []
        counted = [f for f in findings if not f.excused and check_of(f) in rules]
        counted = [f for f in counted if level in f.entry.levels]
        decided = self._decider.decide(counted, judgement, level, rules)
        reasons = [_reason(f, rules) for f in decided.findings[:_MAX_REASONS]]
        reasons += [_personal(detail, rules) for detail in personal]
        if judgement is not None and decided.classified:
            reasons.append(_classified(judgement, rules))
        stopped = any(rules[name].on_failure[level] is OnFailure.BLOCK for name in watch.broken)
        decision = Decision.BLOCK if reasons else Decision.ALLOW
        if stopped and not reasons:
            decision = Decision.UNAVAILABLE
        warned = decided.warned or bool(watch.broken)
        verdict = Verdict(
            decision=decision,
            level=level,
            reasons=tuple(reasons),
            checks=self._runs(rules, decided, judgement, watch, personal=bool(personal)),
            policy_version=self._policy.version,
            content_sha256=text_digest(text),
            message=self._message(decision, reasons, level, warned=warned),
            warning=warned and decision is Decision.ALLOW,
        )
        grey = decided.grey and not personal and not stopped  # a guard knows nobody's address
        seen = tuple(view.text.strip() for view in (normalised.plain, *normalised.disguised))
        return TextTrace(verdict, seen, tuple(findings), tuple(counted), judgement, grey)

    def _terms(self, normalised: Normalised) -> list[Finding]:
        return self._policy.law_context.judge(normalised, self._policy.terms.find(normalised))

    def _judge(self, normalised: Normalised, findings: Sequence[Finding]) -> Judgement:
        """What the classifier makes of a text, without the signs that are used lawfully in it.

        The classifier knows a slogan, not that a lesson is about it. Whether the use is lawful has
        been decided by the sign and the words that say so; all the others are left to judge.
        """
        classifier = self._policy.classifier
        judgement = classifier.judge(normalised.clear)
        if judgement.known < _SURELY_LEARNT and _speaks_another(normalised):
            judgement = replace(judgement, known=0.0)
        lawful = [f for f in findings if f.entry.law and f.excused.startswith(LAWFUL_USE)]
        if not lawful:
            return judgement
        rest = list(normalised.original)
        for span in (span for f in lawful for span in (f.span, *f.cues)):
            rest[span.start : span.end] = " " * (span.end - span.start)
        around = classifier.judge(self._policy.normaliser.normalise("".join(rest)).clear)
        return min(judgement, around, key=lambda judged: judged.score)

    def _runs(
        self,
        rules: dict[str, CheckRule],
        decided: TextDecision,
        judgement: Judgement | None,
        watch: _Watch,
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
        outcomes |= dict.fromkeys(watch.broken, Outcome.FAILED)
        details |= dict.fromkeys(watch.broken, "internal")
        return tuple(
            CheckRun(name, rule.layer, outcomes[name], details.get(name, ""), watch.seconds[name])
            for name, rule in rules.items()
            if name in watch.seconds  # a guard is asked afterwards, by `TextReview`
        )

    def _message(
        self, decision: Decision, reasons: Sequence[Reason], level: Level, *, warned: bool
    ) -> Message:
        if reasons:
            return self._policy.refusal(reasons[0].category, level)
        if decision is Decision.UNAVAILABLE:
            return self._policy.outage(level)
        return self._policy.warning(level) if warned else Message()


def _speaks_another(normalised: Normalised) -> bool:
    """Whether a text shows a language that was not learnt, and none that was."""
    return evident_languages(normalised.clear.split()) == {OTHER}


class _Watch:
    """Runs checks, times them, and knows which of them broke."""

    def __init__(self, rules: Mapping[str, CheckRule]) -> None:
        self._rules = rules
        self.seconds: dict[str, float] = {}
        self.broken: set[str] = set()

    def time(self, check: str, work: Callable[[], _Found]) -> _Found:
        started = time.perf_counter()
        try:
            return work()
        finally:
            self.seconds[check] = time.perf_counter() - started

    def attempt(self, check: str, work: Callable[[], _Found]) -> _Found | None:
        """Run a check if the level has it; None if not, or if it broke: the policy decides then."""
        if check not in self._rules:
            return None
        try:
            return self.time(check, work)
        except Exception:  # whatever it is, this check has not looked
            log.exception("check_broke", check=check)
            self.broken.add(check)
            return None


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

"""Judges texts with all layers: the quick ones first, then a guard where they leave a question.

The quick layers say what holds without a guard, and whether they are unsure. A guard then decides
instead of them; what they decided for certain it is never asked about. When it cannot answer, the
policy says what follows, and nothing here turns a failure into a yes.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from safety_service.guards.interface import GuardFailedError, Rating
from safety_service.guards.outcome import guard_blocks, guard_reasons
from safety_service.model import (
    CLASSIFIER,
    TEXT_GUARD,
    CheckRun,
    Decision,
    Message,
    OnFailure,
    Outcome,
    Verdict,
    text_digest,
)
from safety_service.text_check import TextChecker

if TYPE_CHECKING:
    from collections.abc import Callable

    from safety_service.guards.desk import GuardDesk
    from safety_service.guards.interface import GuardAnswer
    from safety_service.model import TextQuestion
    from safety_service.policy import CheckRule, Policy
    from safety_service.text_check import TextTrace

log = structlog.get_logger(__name__)

_LEARNT = ("de", "en")  # the languages of the term lists and of the classifier
_LONG_TEXT = 2_000  # characters; longer ones would hold up the event loop for over a millisecond


class TextReview:
    """Judges texts by the policy in force."""

    def __init__(
        self,
        policy: Callable[[], Policy],
        guard: GuardDesk | None,
        checker: Callable[[Policy], TextChecker] = TextChecker,
    ) -> None:
        """Use a policy and a guard.

        Args:
            policy: Returns the one in force.
            guard: Asks the guard; None: this deployment has none.
            checker: Makes the quick layers of a policy.
        """
        self._policy = policy
        self._guard = guard
        self._checker = checker

    async def check(self, question: TextQuestion) -> Verdict:
        """Judge a text."""
        policy = self._policy()  # the same for all layers, also when it changes meanwhile
        try:
            trace = await _quick_layers(self._checker(policy), question)
        except Exception:  # whatever it is, the law was not looked for
            log.exception("quick_layers_broke")
            return _unjudged(question, policy)
        rule = policy.rules(question.level, "text", question.direction).get(TEXT_GUARD)
        if rule is None:
            return trace.verdict
        why_not = self._why_not(trace, rule, question)
        if why_not or self._guard is None:
            return _with_run(trace.verdict, _run(rule, Outcome.SKIPPED, why_not))
        started = time.perf_counter()
        try:
            answer = await self._guard.judge_text(
                question.text, question.level, question.medium, policy.version
            )
        except GuardFailedError as exc:
            run = _run(rule, Outcome.FAILED, exc.why, time.perf_counter() - started)
            return _without_answer(trace.verdict, run, policy, rule)
        seconds = time.perf_counter() - started
        return _answered(trace.verdict, answer, policy, rule, seconds)

    def _why_not(self, trace: TextTrace, rule: CheckRule, question: TextQuestion) -> str:
        """Why the guard is not asked; empty: it is."""
        if self._guard is None:
            return "not_configured"
        if trace.grey:
            return ""
        if trace.verdict.decision is not Decision.ALLOW:
            return "decided"
        if _foreign(trace.verdict, question.language):
            return ""
        always = rule.guard is not None and question.direction in rule.guard.always[question.level]
        return "" if always else "not_needed"


async def _quick_layers(checker: TextChecker, question: TextQuestion) -> TextTrace:
    asked = (question.text, question.level, question.direction)
    if len(question.text) <= _LONG_TEXT:
        return checker.trace(*asked)
    return await asyncio.to_thread(checker.trace, *asked)


def _unjudged(question: TextQuestion, policy: Policy) -> Verdict:
    """The verdict when a quick layer broke: as the law is among them, nothing passes anywhere."""
    rules = policy.rules(question.level, "text", question.direction)
    return Verdict(
        decision=Decision.UNAVAILABLE,
        level=question.level,
        reasons=(),
        checks=tuple(
            CheckRun(name, rule.layer, Outcome.FAILED, "internal") for name, rule in rules.items()
        ),
        policy_version=policy.version,
        content_sha256=text_digest(question.text),
        message=policy.outage(question.level),
    )


def _foreign(verdict: Verdict, language: str) -> bool:
    """Whether the text is in a language that the quick layers have not learnt."""
    if language and language not in _LEARNT:
        return True
    return any(
        run.name == CLASSIFIER and run.detail == "unknown_language" for run in verdict.checks
    )


def _without_answer(verdict: Verdict, run: CheckRun, policy: Policy, rule: CheckRule) -> Verdict:
    """What holds when the guard was needed and could not answer."""
    verdict = _with_run(verdict, run)
    if rule.on_failure[verdict.level] is OnFailure.BLOCK:
        return replace(
            verdict,
            decision=Decision.UNAVAILABLE,
            reasons=(),
            message=policy.outage(verdict.level),
            warning=False,
        )
    if verdict.decision is Decision.BLOCK:
        return verdict
    return replace(verdict, message=policy.warning(verdict.level), warning=True)


def _answered(
    verdict: Verdict, answer: GuardAnswer, policy: Policy, rule: CheckRule, seconds: float
) -> Verdict:
    """What holds by the guard's word, whatever the layers before were inclined to."""
    blocks = guard_blocks(answer, rule, verdict.level)
    passed_as = "" if answer.rating is Rating.SAFE or blocks else answer.rating.value
    run = _run(rule, Outcome.HIT if blocks else Outcome.PASSED, passed_as, seconds)
    verdict = _with_run(verdict, replace(run, model=answer.model))
    if not blocks:
        return replace(
            verdict, decision=Decision.ALLOW, reasons=(), message=Message(), warning=False
        )
    return replace(
        verdict,
        decision=Decision.BLOCK,
        reasons=(*guard_reasons(answer, rule), *verdict.reasons),
        message=policy.refusal(answer.categories[0], verdict.level),
        warning=False,
    )


def _run(rule: CheckRule, outcome: Outcome, detail: str, seconds: float = 0.0) -> CheckRun:
    return CheckRun(TEXT_GUARD, rule.layer, outcome, detail, seconds)


def _with_run(verdict: Verdict, run: CheckRun) -> Verdict:
    """Add what became of a check, at its place in the order of layers."""
    runs = sorted((*verdict.checks, run), key=lambda each: each.layer)
    return replace(verdict, checks=tuple(runs))

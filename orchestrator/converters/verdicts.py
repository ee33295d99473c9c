"""Verdicts on the wire."""

from __future__ import annotations

from orchestrator.converters.words import LEVELS, duration, level_from_proto, localized
from orchestrator.model import CheckRun, Decision, Finding, SafetyLevel, Verdict
from stellwerk.safety.v1 import verdict_pb2


def verdict_from_proto(verdict: verdict_pb2.Verdict) -> Verdict:
    """Return a verdict; one that says nothing counts as UNAVAILABLE, never as ALLOW."""
    decision = {
        verdict_pb2.DECISION_ALLOW: Decision.ALLOW,
        verdict_pb2.DECISION_BLOCK: Decision.BLOCK,
    }.get(verdict.decision, Decision.UNAVAILABLE)
    level = level_from_proto(verdict.safety_level)
    return Verdict(
        decision=decision,
        safety_level=level or SafetyLevel.KIDS,
        policy_version=verdict.policy_version,
        content_sha256=verdict.content_sha256,
        findings=tuple(
            Finding(
                category=verdict_pb2.Category.Name(each.category).removeprefix("CATEGORY_").lower(),
                score=each.score,
                layer=each.layer,
                start=each.span.start if each.HasField("span") else None,
                end=each.span.end if each.HasField("span") else None,
                term=each.span.text,
                entry_id=each.entry_id,
            )
            for each in verdict.reasons
        ),
        checks=tuple(
            CheckRun(
                each.name,
                each.layer,
                verdict_pb2.CheckOutcome.Name(each.outcome).removeprefix("CHECK_OUTCOME_").lower(),
                each.detail,
                each.run_duration.ToTimedelta().total_seconds(),
                each.model,
            )
            for each in verdict.checks
        ),
        message=dict(verdict.message.texts),
        allowed_with_warning=verdict.allowed_with_warning,
    )


def verdict_to_proto(verdict: Verdict) -> verdict_pb2.Verdict:
    """Return a verdict for a person's client: without the found words."""
    return verdict_pb2.Verdict(
        decision=verdict_pb2.Decision.Value(f"DECISION_{verdict.decision}"),
        reasons=[
            verdict_pb2.Reason(
                category=category(each.category),
                score=each.score,
                layer=each.layer,
                span=verdict_pb2.TextSpan(start=each.start, end=each.end)
                if each.start is not None and each.end is not None
                else None,
                entry_id=each.entry_id,
            )
            for each in verdict.findings
        ],
        checks=[
            verdict_pb2.Check(
                name=each.name,
                layer=each.layer,
                outcome=verdict_pb2.CheckOutcome.Value(f"CHECK_OUTCOME_{each.outcome.upper()}"),
                detail=each.detail,
                run_duration=duration(each.seconds),
                model=each.model,
            )
            for each in verdict.checks
        ],
        policy_version=verdict.policy_version,
        content_sha256=verdict.content_sha256,
        message=localized(verdict.message),
        safety_level=LEVELS[verdict.safety_level],
        allowed_with_warning=verdict.allowed_with_warning,
    )


def category(word: str) -> verdict_pb2.Category.ValueType:
    """Return a category's number."""
    return verdict_pb2.Category.Value(f"CATEGORY_{word.upper()}")

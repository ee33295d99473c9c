"""Protobuf to domain and back; the only place that knows both, and that refuses bad requests."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from safety_service.model import (
    Category,
    Decision,
    Direction,
    Level,
    OnFailure,
    Outcome,
    TextQuestion,
)
from safety_service.policy import MAX_TEXT_LENGTH
from servicekit.errors import InvalidArgumentError
from stellwerk.common.v1 import types_pb2
from stellwerk.safety.v1 import safety_service_pb2 as safety
from stellwerk.safety.v1 import verdict_pb2

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from safety_service.images import ImageVerdict
    from safety_service.model import CheckRun, Message, Reason, Verdict
    from safety_service.policy import CheckRule, Policy

MAX_TEXTS = 64
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LEVELS = {
    types_pb2.SAFETY_LEVEL_KIDS: Level.KIDS,
    types_pb2.SAFETY_LEVEL_YOUTH: Level.YOUTH,
    types_pb2.SAFETY_LEVEL_ADULT: Level.ADULT,
    types_pb2.SAFETY_LEVEL_OFF: Level.OFF,
}
_MEDIA = {
    types_pb2.MEDIA_TYPE_TEXT: "text",
    types_pb2.MEDIA_TYPE_IMAGE: "image",
    types_pb2.MEDIA_TYPE_AUDIO: "audio",
    types_pb2.MEDIA_TYPE_MUSIC: "music",
    types_pb2.MEDIA_TYPE_VIDEO: "video",
    types_pb2.MEDIA_TYPE_THREE_D: "3d",
}
_LEVEL_VALUES = {level: value for value, level in _LEVELS.items()}
_DIRECTIONS = {
    safety.DIRECTION_INPUT: Direction.INPUT,
    safety.DIRECTION_OUTPUT: Direction.OUTPUT,
}
_DIRECTION_VALUES = {direction: value for value, direction in _DIRECTIONS.items()}
_DECISIONS = {
    Decision.ALLOW: verdict_pb2.DECISION_ALLOW,
    Decision.BLOCK: verdict_pb2.DECISION_BLOCK,
    Decision.UNAVAILABLE: verdict_pb2.DECISION_UNAVAILABLE,
}
_OUTCOMES = {
    Outcome.PASSED: verdict_pb2.CHECK_OUTCOME_PASSED,
    Outcome.HIT: verdict_pb2.CHECK_OUTCOME_HIT,
    Outcome.SKIPPED: verdict_pb2.CHECK_OUTCOME_SKIPPED,
    Outcome.FAILED: verdict_pb2.CHECK_OUTCOME_FAILED,
}
_FAILURES = {
    OnFailure.BLOCK: safety.FAILURE_POLICY_BLOCK,
    OnFailure.ALLOW_WITH_WARNING: safety.FAILURE_POLICY_ALLOW_WITH_WARNING,
}
_CATEGORIES = {
    category: verdict_pb2.Category.Value(f"CATEGORY_{category.name}") for category in Category
}


def level_from(value: types_pb2.SafetyLevel.ValueType, field: str = "safety_level") -> Level:
    """Read a level; INVALID_ARGUMENT, reason LEVEL_UNSPECIFIED, when there is none."""
    if value not in _LEVELS:
        raise InvalidArgumentError(
            "LEVEL_UNSPECIFIED", "Name the safety level: kids, youth, adult or off.", field=field
        )
    return _LEVELS[value]


def direction_from(value: safety.Direction.ValueType, field: str = "direction") -> Direction:
    """Read a direction; INVALID_ARGUMENT, reason DIRECTION_UNSPECIFIED, when there is none."""
    if value not in _DIRECTIONS:
        raise InvalidArgumentError(
            "DIRECTION_UNSPECIFIED", "Say whether this is input or output.", field=field
        )
    return _DIRECTIONS[value]


def text_request_from(request: safety.CheckTextRequest, prefix: str = "") -> TextQuestion:
    """Read what is asked about a text.

    Args:
        request: The request.
        prefix: Put before the names of faulty fields, such as `requests[3].`.

    Raises:
        InvalidArgumentError: The text is empty or too long, or an enum is unspecified.
    """
    if not request.text.strip():
        raise InvalidArgumentError("EMPTY_TEXT", "The text is empty.", field=f"{prefix}text")
    if len(request.text) > MAX_TEXT_LENGTH:
        raise InvalidArgumentError(
            "TEXT_TOO_LONG",
            f"The text may have {MAX_TEXT_LENGTH} characters at most.",
            field=f"{prefix}text",
        )
    level = level_from(request.safety_level, f"{prefix}safety_level")
    direction = direction_from(request.direction, f"{prefix}direction")
    return TextQuestion(
        text=request.text,
        level=level,
        direction=direction,
        language=request.language.lower(),
        medium=_MEDIA.get(request.media_type, ""),
    )


def texts_request_from(request: safety.CheckTextsRequest) -> list[TextQuestion]:
    """Read a batch; INVALID_ARGUMENT names the text by its index."""
    if not request.requests:
        raise InvalidArgumentError("NO_TEXTS", "There is no text to check.", field="requests")
    if len(request.requests) > MAX_TEXTS:
        raise InvalidArgumentError(
            "TOO_MANY_TEXTS", f"At most {MAX_TEXTS} texts in one call.", field="requests"
        )
    return [text_request_from(one, f"requests[{i}].") for i, one in enumerate(request.requests)]


def image_request_from(request: safety.CheckImageRequest) -> tuple[str, Level, Direction, bool]:
    """Read hash, level, direction and whether the picture may be a photograph."""
    if not _SHA256.fullmatch(request.media.sha256):
        raise InvalidArgumentError(
            "MEDIA_MISSING", "Name a stored picture by its SHA-256.", field="media.sha256"
        )
    photographic = request.photographic if request.HasField("photographic") else True
    level = level_from(request.safety_level)
    return request.media.sha256, level, direction_from(request.direction), photographic


def verdict_to(verdict: Verdict, text: str = "") -> verdict_pb2.Verdict:
    """Write a verdict.

    Args:
        verdict: The verdict.
        text: The text that was judged, for the texts of its spans; empty for pictures.
    """
    return verdict_pb2.Verdict(
        decision=_DECISIONS[verdict.decision],
        reasons=[_reason_to(reason, text) for reason in verdict.reasons],
        checks=[_check_to(run) for run in verdict.checks],
        policy_version=verdict.policy_version,
        content_sha256=verdict.content_sha256,
        message=_message_to(verdict.message),
        safety_level=_LEVEL_VALUES[verdict.level],
        allowed_with_warning=verdict.warning,
    )


def image_response_to(result: ImageVerdict) -> safety.CheckImageResponse:
    """Write the verdict about a picture."""
    return safety.CheckImageResponse(
        verdict=verdict_to(result.verdict), width=result.size.width, height=result.size.height
    )


def policy_to(policy: Policy, level: Level, missing: Collection[str]) -> safety.GetPolicyResponse:
    """Write what applies at a level.

    Args:
        policy: The policy.
        level: The level.
        missing: Checks that this deployment lacks.
    """
    return safety.GetPolicyResponse(
        policy_version=policy.version,
        checks=_rules_to(policy, level, missing),
        max_text_length=MAX_TEXT_LENGTH,
        entry_count=policy.entry_counts[level],
    )


def policies_to(
    policy: Policy, faults: Sequence[str], missing: Collection[str]
) -> safety.ListPoliciesResponse:
    """Write what applies at all levels, and what is wrong with the files.

    Args:
        policy: The policy in force.
        faults: Of the files as they are now.
        missing: Checks that this deployment lacks.
    """
    return safety.ListPoliciesResponse(
        policy_version=policy.version,
        levels=[
            safety.LevelPolicy(
                safety_level=value,
                checks=_rules_to(policy, level, missing),
                entry_count=policy.entry_counts[level],
            )
            for value, level in _LEVELS.items()
        ],
        lists=[
            safety.TermList(
                name=found.name,
                category=_CATEGORIES[found.category],
                law=found.law,
                entry_count=found.entry_count,
                own=found.own,
            )
            for found in policy.lists
        ],
        faults=faults,
    )


def _rules_to(policy: Policy, level: Level, missing: Collection[str]) -> list[safety.PolicyCheck]:
    return [
        _rule_to(name, rule, level, configured=name not in missing)
        for name, rule in policy.checks.items()
        if rule.directions[level]
    ]


def _rule_to(name: str, rule: CheckRule, level: Level, *, configured: bool) -> safety.PolicyCheck:
    lacking = None if configured else rule.on_missing
    consequences = rule.on_failure if lacking is None else lacking
    return safety.PolicyCheck(
        name=name,
        layer=rule.layer,
        directions=[_DIRECTION_VALUES[direction] for direction in rule.directions[level]],
        on_failure=_FAILURES[consequences[level]],
        configured=configured,
    )


def _reason_to(reason: Reason, text: str) -> verdict_pb2.Reason:
    message = verdict_pb2.Reason(
        category=_CATEGORIES[reason.category],
        score=reason.score,
        layer=reason.layer,
        entry_id=reason.entry_id,
    )
    if reason.span is not None:
        message.span.start = reason.span.start
        message.span.end = reason.span.end
        message.span.text = text[reason.span.start : reason.span.end]
    return message


def _check_to(run: CheckRun) -> verdict_pb2.Check:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=run.duration_seconds))
    return verdict_pb2.Check(
        name=run.name,
        layer=run.layer,
        outcome=_OUTCOMES[run.outcome],
        detail=run.detail,
        run_duration=duration,
        model=run.model,
    )


def _message_to(message: Message) -> types_pb2.LocalizedText | None:
    if not message.en:
        return None
    return types_pb2.LocalizedText(texts={"de": message.de, "en": message.en})

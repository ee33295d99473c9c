"""Requests that no model should see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generation_service.text.interface import TextMessage, TextRequest, TextTask
from generation_service.text.validation import check_request
from servicekit.errors import InvalidArgumentError
from tests.unit.generation_service.text.support import request


def violations(asked: TextRequest) -> tuple[str, list[str]]:
    """The reason, and the fields complained about."""
    with pytest.raises(InvalidArgumentError) as failed:
        check_request(asked)
    return failed.value.reason, [field for field, _ in failed.value.violations]


def test_a_request_at_its_limits_passes() -> None:
    """The longest text and the outermost parameters are allowed."""
    check_request(
        request(
            "x" * 100_000,
            temperature=2,
            top_p=0,
            max_tokens=32_768,
            stop=("s",) * 16,
            seed=2**64 - 1,
            keep_alive_seconds=0,
        )
    )


@pytest.mark.parametrize(
    ("asked", "reason", "field"),
    [
        (replace(request(), role=""), "ROLE_MISSING", "role"),
        (replace(request(), messages=()), "NO_MESSAGES", "messages"),
        (
            replace(request(), messages=(TextMessage("tool", "x"),)),
            "MESSAGE_ROLE_INVALID",
            "messages[0].role",
        ),
        (request("x" * 100_001), "TEXT_TOO_LONG", "messages"),
        (request(task=TextTask("x" * 60_000, "y" * 60_000)), "TEXT_TOO_LONG", "task"),
    ],
)
def test_each_fault_names_its_field(asked: TextRequest, reason: str, field: str) -> None:
    """Reason and field tell the caller what to mend."""
    assert violations(asked) == (reason, [field])


def test_all_parameters_out_of_range_are_told_at_once() -> None:
    """Every parameter is checked before anything is said; not-a-number is in no range."""
    reason, fields = violations(
        request(
            temperature=float("nan"),
            top_p=1.1,
            max_tokens=0,
            stop=("",),
            seed=-1,
            keep_alive_seconds=1e9,
        )
    )
    assert reason == "PARAMETER_OUT_OF_RANGE"
    names = ["temperature", "top_p", "max_tokens", "seed", "keep_alive_duration", "stop"]
    assert fields == [f"parameters.{name}" for name in names]

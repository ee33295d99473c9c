"""The fault table: whatever goes wrong with a check, the decision is the policy's, never a yes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from safety_service.model import Direction, Level, OnFailure
from safety_service.policy import SHIPPED_POLICIES, Policy, load_policy
from stellwerk.common.v1 import types_pb2
from stellwerk.safety.v1 import safety_service_pb2 as safety
from stellwerk.safety.v1 import safety_service_pb2_grpc as safety_grpc
from stellwerk.safety.v1 import verdict_pb2
from stellwerk.tracker.v1 import execution_pb2
from tests.fakes.guards import FakeRawOllama, FakeRawOpenAI
from tests.fakes.ollama import FakeOllama
from tests.fakes.text_server import Fault
from tests.integration.guarded import (
    ADULT,
    ALLOW,
    HASTY_SECONDS,
    KIDS,
    LEVELS,
    UNAVAILABLE,
    GuardedSafety,
    check_of,
    guard,
    guarded_safety,
    models_file,
    open_safety,
    photograph,
)
from tests.integration.house import item_types, no_faults, open_house
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WISH = "Eine Blume auf der Wiese"
FAILED = verdict_pb2.CHECK_OUTCOME_FAILED
NOT_ANSWERS = (
    "unsaf",
    "unsafe",
    "unsafe\nS",
    "unsafe\nS99",
    "unsafe\nS1,",
    "Safe",
    "safe.",
    "safe\nS1",
    "safe\nsafe",
    "safe unsafe\nS1",
    "I think that this is safe",
    "As a helpful assistant I cannot judge this.",
    '{"unsafe": false}',
    "0",
)
HANGS = (Fault.HANG_BEFORE, Fault.HANG_BETWEEN)


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The shipped policy, by which the expected decisions are told."""
    return load_policy()


def _level(value: types_pb2.SafetyLevel.ValueType) -> Level:
    return Level(types_pb2.SafetyLevel.Name(value).removeprefix("SAFETY_LEVEL_").lower())


def _expected(
    policy: Policy, check: str, level: types_pb2.SafetyLevel.ValueType
) -> tuple[verdict_pb2.Decision.ValueType, bool]:
    """Decision and warning when a check that was needed has failed."""
    rule = policy.checks[check]
    if Direction.OUTPUT not in rule.directions[_level(level)]:
        return ALLOW, False
    if rule.on_failure[_level(level)] is OnFailure.BLOCK:
        return UNAVAILABLE, False
    return ALLOW, True


def _assert_as_the_policy_says(
    verdict: verdict_pb2.Verdict,
    policy: Policy,
    check: str,
    level: types_pb2.SafetyLevel.ValueType,
    fault: str,
) -> None:
    expected = _expected(policy, check, level)
    assert (verdict.decision, verdict.allowed_with_warning) == expected, f"{check}: {fault}"
    if check in {run.name for run in verdict.checks}:
        run = check_of(verdict, check)
        assert run.outcome == FAILED and run.detail, f"{check}: {fault}"
    if verdict.decision == UNAVAILABLE:
        assert "nicht" in verdict.message.texts["de"] and not verdict.reasons


@pytest.fixture
async def raw_guard() -> AsyncIterator[FakeRawOllama]:
    """A Llama Guard that says safe unless told to fail."""
    async with FakeRawOllama("safe") as server:
        yield server


@pytest.fixture
async def guarded(tmp_path: Path, raw_guard: FakeRawOllama) -> AsyncIterator[GuardedSafety]:
    """Safety with both guards on one server, and little patience."""
    roles = {
        "text_guard": guard("ollama/lg", "llama-guard-3"),
        "image_guard": guard("ollama/vision", "judge"),
    }
    async with guarded_safety(
        tmp_path, roles, ollama_url=raw_guard.url, guard_timeout_seconds=HASTY_SECONDS
    ) as house:
        yield house


async def test_every_fault_of_the_text_guard_at_every_level(
    guarded: GuardedSafety, raw_guard: FakeRawOllama, policy: Policy
) -> None:
    """Down to the last kind of nonsense there is no answer that counts as safe."""
    for fault in Fault:
        raw_guard.fault = fault
        for level in LEVELS:
            verdict = await guarded.text(WISH, level)
            _assert_as_the_policy_says(verdict, policy, "text_guard", level, fault.name)
    raw_guard.fault = None
    for answer in NOT_ANSWERS:
        raw_guard.answer = answer
        verdict = await guarded.text(WISH, KIDS)
        _assert_as_the_policy_says(verdict, policy, "text_guard", KIDS, answer)


async def test_every_fault_of_the_picture_guard_at_every_level(
    tmp_path: Path, policy: Policy
) -> None:
    """A photograph that nobody could look at is shown to nobody whom the policy protects."""
    async with (
        FakeOllama('{"mark": "wrong", "unsafe": false, "categories": []}') as server,
        guarded_safety(
            tmp_path,
            {"image_guard": guard("ollama/vision", "judge")},
            ollama_url=server.url,
            guard_timeout_seconds=HASTY_SECONDS,
        ) as house,
    ):
        for number, fault in enumerate([None, *Fault]):
            server.fault = fault
            content = photograph(number)
            for level in LEVELS:
                verdict = await house.picture(content, level)
                name = fault.name if fault else "an answer without the right mark"
                _assert_as_the_policy_says(verdict, policy, "image_guard", level, name)


async def test_a_cut_answer_and_another_model_are_none(tmp_path: Path, policy: Policy) -> None:
    """`safe` may begin another word when the server stopped early; nobody stands in for a guard."""
    async with (
        FakeRawOpenAI("safe") as server,
        guarded_safety(
            tmp_path,
            {"text_guard": guard("openai/lg", "llama-guard-3")},
            openai_base_url=server.base_url,
        ) as house,
    ):
        server.finish_reason = "length"
        verdict = await house.text(WISH, KIDS)
        _assert_as_the_policy_says(verdict, policy, "text_guard", KIDS, "length")
        assert check_of(verdict, "text_guard").detail == "half_an_answer"
        server.models = ["another"]
        verdict = await house.text(WISH, KIDS)
        _assert_as_the_policy_says(verdict, policy, "text_guard", KIDS, "wrong model")
        assert check_of(verdict, "text_guard").detail == "model_not_found"


async def test_no_generation_service_and_no_role(tmp_path: Path, policy: Policy) -> None:
    """Configured and not to be had is a failure; a clear wish does not need the guard."""
    address = f"127.0.0.1:{free_port()}"
    async with open_safety(
        generation_address=address, text_guard=True, image_guard=True, guard_timeout_seconds=20
    ) as stub:
        for level in LEVELS:
            verdict = await _text(stub, level)
            _assert_as_the_policy_says(verdict, policy, "text_guard", level, "generation is down")
        wish = safety.CheckTextRequest(
            text=WISH, safety_level=KIDS, direction=safety.DIRECTION_INPUT
        )
        assert (await stub.CheckText(wish)).verdict.decision == ALLOW
    async with guarded_safety(tmp_path, {}, text_guard=True) as house:
        verdict = await house.text(WISH, KIDS)
        _assert_as_the_policy_says(verdict, policy, "text_guard", KIDS, "no role")
        assert check_of(verdict, "text_guard").detail == "role_not_found"


async def _text(
    stub: safety_grpc.SafetyServiceAsyncStub, level: types_pb2.SafetyLevel.ValueType
) -> verdict_pb2.Verdict:
    request = safety.CheckTextRequest(
        text=WISH, safety_level=level, direction=safety.DIRECTION_OUTPUT
    )
    return (await stub.CheckText(request)).verdict


async def test_a_policy_may_let_adults_pass_with_a_warning(
    tmp_path: Path, raw_guard: FakeRawOllama
) -> None:
    """Where the table says so, a guard's failure warns; minors cannot be given that."""
    folder = tmp_path / "policies"
    shutil.copytree(SHIPPED_POLICIES, folder)
    content = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
    rule = content["checks"]["text_guard"]
    rule["directions"]["adult"] = rule["guard"]["always"]["adult"] = ["output"]
    (folder / "policy.json").write_text(json.dumps(content), encoding="utf-8")
    raw_guard.fault = Fault.ERROR_500
    async with guarded_safety(
        tmp_path,
        {"text_guard": guard("ollama/lg", "llama-guard-3")},
        ollama_url=raw_guard.url,
        policy_dir=folder,
    ) as house:
        verdict = await house.text(WISH, ADULT)
        assert verdict.decision == ALLOW and verdict.allowed_with_warning
        assert verdict.message.texts["en"]
        assert (await house.text(WISH, KIDS)).decision == UNAVAILABLE


async def test_how_executions_end(tmp_path: Path, raw_guard: FakeRawOllama) -> None:
    """FAILED with the reason when the guard fails, BLOCKED when it says no, else COMPLETED."""
    roles: dict[str, Any] = {"text_guard": guard("openai/lg", "llama-guard-3")}
    async with (
        FakeOllama("Eine Blume tanzt auf der Wiese.") as model,
        FakeRawOpenAI("safe") as judge,
        open_house(
            tmp_path,
            model.url,
            generation_settings={
                "models_file": models_file(tmp_path, **roles),
                "models_profile": "test",
                "openai_base_url": judge.base_url,
            },
            safety_settings={"text_guard": True},
        ) as house,
    ):
        record = await house.record(no_faults(await house.run(config="dada", texts=[WISH])))
        (item,) = [i for i in record.items if i.item_type == "stage3_safety_check"]
        checks = {check["name"]: check for check in json.loads(item.metadata_json)["checks"]}
        assert checks["text_guard"]["outcome"] == "passed"
        assert checks["text_guard"]["duration_ms"] > 0
        assert checks["text_guard"]["model"] == "openai/lg"
        assert {"terms_law", "classifier", "personal_data"} < set(checks)
        judge.answer = "unsafe\nS11"
        model.answer = "Ein Schiff schwimmt auf dem Meer."
        last = (await house.run(config="dada", texts=[WISH]))[-1]
        assert last.state_changed.state == execution_pb2.EXECUTION_STATE_BLOCKED
        model.answer = "Ein Zug fährt durch den Wald."
        for fault in (Fault.ERROR_500, Fault.NONSENSE, Fault.EMPTY):
            judge.fault = fault
            last = (await house.run(config="dada", texts=[WISH]))[-1]
            assert last.state_changed.state == execution_pb2.EXECUTION_STATE_FAILED
            assert last.state_changed.reason == "SAFETY_UNAVAILABLE"
            record = await house.record(last.execution_id)
            assert "output_image" not in item_types(record)

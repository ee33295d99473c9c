"""Control flows that branch: what loads, what is planned, and every fault that is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.configs import PlanRequest, build_plan, check_folder, load_configs
from orchestrator.configs.flows import Condition
from orchestrator.configs.plan import PlannedConditional, PlannedParallel
from tests.unit.orchestrator.configs.conftest import write_json

if TYPE_CHECKING:
    from pathlib import Path

PARALLEL = {
    "kind": "parallel",
    "chunks": ["take_apart"],
    "branches": [
        {"name": "PLACE", "chunks": ["rewrite"]},
        {"name": "SOUND", "input_text": 2, "chunks": ["say_mood"]},
    ],
    "join": {"template": {"en": "{{PLACE}} / {{SOUND}}", "de": "{{PLACE}} – {{SOUND}}"}},
}
CONDITIONAL = {
    "kind": "conditional",
    "chunks": ["take_apart"],
    "cases": [{"when": {"value": "MOOD", "equals": "sad"}, "chunks": ["say_mood"]}],
    "otherwise": ["rewrite"],
}
BRANCHING: dict[str, dict[str, Any]] = {
    "chunks/take_apart.json": {
        "kind": "prompt",
        "role": "interception",
        "template": "Subject and mood of {{PREVIOUS_OUTPUT}} as JSON",
        "values": ["SUBJECT", "MOOD"],
    },
    "chunks/say_mood.json": {
        "kind": "prompt",
        "role": "interception",
        "template": "{{MOOD}}: {{PREVIOUS_OUTPUT}}",
    },
    "chunks/write_code.json": {
        "kind": "prompt",
        "role": "coding",
        "template": "A sketch of {{PREVIOUS_OUTPUT}}",
    },
    "pipelines/apart.json": {
        "input_requirements": {"texts": 2},
        "control_flow": PARALLEL,
        "output_requests": [
            {"output": "image", "prompt": "{{SUBJECT}}, big", "parameters": {"width": 64}},
            {"output": "plain"},
        ],
    },
    "pipelines/either.json": {"control_flow": CONDITIONAL},
    "output/sketch.json": {
        "name": "Sketch",
        "description": "Code.",
        "media_type": "text",
        "backend": "text",
        "chunk": "write_code",
    },
    "interception/apart.json": {
        "name": "Apart",
        "description": "Takes apart.",
        "pipeline": "apart",
        "context": "Look.",
    },
    "interception/either.json": {
        "name": "Either",
        "description": "One or the other.",
        "pipeline": "either",
        "context": "Look.",
    },
}


@pytest.fixture
def branching(folder: Path) -> Path:
    """A sound folder with branches."""
    for name, value in BRANCHING.items():
        write_json(folder / name, value)
    return folder


def test_branching_folder_has_no_faults(branching: Path) -> None:
    """Parallel and conditional flows, values, requested outputs and code load without a fault."""
    assert check_folder(branching) == []


def test_parallel_flow_is_planned_in_the_callers_language(branching: Path) -> None:
    """Branches, join and the prompts of requested outputs are resolved once, and come back."""
    configs = load_configs(branching)
    plan = build_plan(configs, PlanRequest("apart", "de", text_count=2))
    flow = plan.flow
    assert isinstance(flow, PlannedParallel)
    assert [(branch.name, branch.input_text) for branch in flow.branches] == [
        ("PLACE", None),
        ("SOUND", 2),
    ]
    assert flow.join_template == "{{PLACE}} – {{SOUND}}"
    assert flow.chunks[0].values == ("SUBJECT", "MOOD")
    assert [output.id for output in plan.outputs] == ["picture", "plain"]
    assert [output.prompt for output in plan.outputs] == ["{{SUBJECT}}, big", None]
    assert plan.outputs[0].parameters["width"] == 64
    assert type(plan).from_json(plan.to_json()) == plan


def test_a_caller_who_names_outputs_gets_these(branching: Path) -> None:
    """What a pipeline asks for gives way to the caller's wish."""
    configs = load_configs(branching)
    request = PlanRequest("apart", "en", text_count=2, outputs=("sketch",))
    (output,) = build_plan(configs, request).outputs
    assert (output.id, output.prompt) == ("sketch", None)
    assert output.chunk is not None
    assert output.chunk.role == "coding"
    assert "coding" in build_plan(configs, request).roles


def test_conditional_flow_is_planned(branching: Path) -> None:
    """Every case is in the plan: which one runs is seen when the value is there."""
    flow = build_plan(load_configs(branching), PlanRequest("either", "en")).flow
    assert isinstance(flow, PlannedConditional)
    assert flow.cases[0].when.holds({"MOOD": " Sad "})
    assert [chunk.id for chunk in flow.otherwise] == ["rewrite"]


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        (Condition(value="A", equals="Ja"), "ja", True),
        (Condition(value="A", equals=True), "true", True),
        (Condition(value="A", equals=3), "3", True),
        (Condition(value="A", one_of=("x", "y")), "Y", True),
        (Condition(value="A", one_of=("x", "y")), "z", False),
        (Condition(value="A", contains="see"), "Am Seeufer", True),
        (Condition(value="A", at_least=2, at_most=5), "5.0", True),
        (Condition(value="A", at_least=2), "1", False),
        (Condition(value="A", at_least=2), "many", False),
        (Condition(value="B", equals="x"), "x", False),
    ],
)
def test_conditions(condition: Condition, value: str, holds: bool) -> None:
    """A condition compares as people would: without regard to case, numbers as numbers."""
    assert condition.holds({"A": value}) is holds


def changed(flow: dict[str, Any], **update: Any) -> dict[str, Any]:
    """Return a pipeline with something of its flow changed; None leaves a key out."""
    value = {**flow, **update}
    texts = {"input_requirements": {"texts": 2}}
    return {**texts, "control_flow": {key: part for key, part in value.items() if part is not None}}


def branch(**update: Any) -> dict[str, Any]:
    """Return the parallel flow with its first branch changed."""
    first, second = PARALLEL["branches"]
    assert isinstance(first, dict)
    return changed(PARALLEL, branches=[{**first, **update}, second])


def case(**when: Any) -> dict[str, Any]:
    """Return the conditional flow with another condition."""
    return changed(CONDITIONAL, cases=[{"when": when, "chunks": []}])


def requesting(**request: Any) -> dict[str, Any]:
    """Return a pipeline that asks for one output."""
    return {**BRANCHING["pipelines/apart.json"], "output_requests": [request]}


FLOW = "control_flow"
APART, EITHER, CHUNK = "pipelines/apart.json", "pipelines/either.json", "chunks/take_apart.json"
SKETCH = "output/sketch.json"
# file, what it becomes, field, part of the message, part of the hint
PLANTED: list[tuple[str, dict[str, Any], str, str, str]] = [
    (APART, changed(PARALLEL, branches=None), f"{FLOW}.branches", "missing", "same time"),
    (APART, changed(PARALLEL, join=None), f"{FLOW}.join", "missing", "template"),
    (APART, changed(PARALLEL, join={}), f"{FLOW}.join", "at least 1", "become one text"),
    (APART, changed(PARALLEL, join={"chunk": "rewrit"}), f"{FLOW}.join.chunk", 'no chunk "rewrit"',
     "Did you mean rewrite?"),
    (APART, changed(PARALLEL, join={"template": "{{PLAZE}}"}), f"{FLOW}.join.template",
     "{{PLAZE}}", "Did you mean PLACE?"),
    (APART, changed(PARALLEL, otherwise=[]), f"{FLOW}.otherwise", "does not belong", "conditional"),
    (APART, changed(PARALLEL, iterations=2), f"{FLOW}.iterations", "does not belong", "iterative"),
    (APART, branch(name="place"), f"{FLOW}.branches[0].name", "not written as", "Upper-case"),
    (APART, branch(name="CONTEXT"), f"{FLOW}.branches[0].name", "a meaning already", "another"),
    (APART, branch(name="SUBJECT"), f"{FLOW}.branches[0].name", "taken", "another"),
    (APART, branch(chunks=[]), f"{FLOW}.branches[0].chunks", "at least 1", "in order"),
    (APART, branch(chunks=["nope"]), f"{FLOW}.branches[0].chunks[0]", 'no chunk "nope"', ""),
    (APART, branch(input_text=3), f"{FLOW}.branches[0].input_text", "no text 3", "Raise"),
    (APART, branch(colour=3), f"{FLOW}.branches[0].colour", "not known", "chunks"),
    (EITHER, changed(CONDITIONAL, cases=None), f"{FLOW}.cases", "missing", "condition"),
    (EITHER, changed(CONDITIONAL, cases=[]), f"{FLOW}.cases", "at least 1", "first whose"),
    (EITHER, changed(CONDITIONAL, branches=[]), f"{FLOW}.branches", "does not belong", "parallel"),
    (EITHER, case(value="MODE", equals="x"), f"{FLOW}.cases[0].when.value", '"MODE"', "mean MOOD?"),
    (EITHER, case(value="MOOD"), f"{FLOW}.cases[0].when", "at least 2", "at least one of"),
    (EITHER, case(value="MOOD", above=2), f"{FLOW}.cases[0].when.above", "not known", "at_least"),
    (EITHER, case(value="MOOD", at_least="2"), f"{FLOW}.cases[0].when.at_least", "a number", ""),
    (EITHER, changed(CONDITIONAL, otherwise=["rewrit"]), f"{FLOW}.otherwise[0]", "rewrit", "mean"),
    (EITHER, changed(CONDITIONAL, chunks=["say_mood"], cases=[
        {"when": {"value": "INPUT_LANGUAGE", "equals": "de"}, "chunks": []}]),
     f"{FLOW}.chunks[0]", "{{MOOD}}, which nothing before it gives", "among its values"),
    (APART, requesting(output="imag"), "output_requests[0].output", '"imag"', "mean image?"),
    (APART, requesting(output="image", prompt="{{SUBJET}}"), "output_requests[0].prompt",
     "{{SUBJET}}", "mean SUBJECT?"),
    (APART, requesting(output="image", parameters={"widht": 64}),
     "output_requests[0].parameters.widht", "no parameter", "mean width?"),
    (APART, requesting(output="image", parameters={"width": 1}),
     "output_requests[0].parameters.width", "at least 64", ""),
    (APART, requesting(), "output_requests[0].output", "missing", "medium"),
    (CHUNK, {**BRANCHING[CHUNK], "values": ["SUBJECT", "MOOD", "CONTEXT"]}, "values[2]",
     "a meaning already", "another"),
    (CHUNK, {**BRANCHING[CHUNK], "values": ["SUBJECT", "MOOD", "mood"]}, "values[2]",
     "not written as", "Upper-case"),
    (CHUNK, {**BRANCHING[CHUNK], "text_value": "SUBJEKT"}, "text_value", '"SUBJEKT"', "SUBJECT?"),
    (CHUNK, {**BRANCHING["chunks/say_mood.json"], "template": "x", "text_value": "MOOD"},
     "text_value", 'the key "values" is needed', ""),
    (CHUNK, {**BRANCHING[CHUNK], "template": "{{COLOUR}}"}, "template", "{{COLOUR}}", ""),
    (SKETCH, {**BRANCHING[SKETCH], "chunk": "write_kode"}, "chunk", '"write_kode"', "write_code?"),
    (SKETCH, {**BRANCHING[SKETCH], "media_type": "image"}, "media_type", '"image"', "is text"),
    (SKETCH, {**BRANCHING[SKETCH], "backend": "embedded", "model": "x"}, "chunk",
     "does not belong", "backend text"),
    (SKETCH, {**BRANCHING[SKETCH], "model": "x"}, "model", "does not belong", "role"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "field", "message", "hint"), PLANTED)
def test_planted_fault_is_told_with_its_place(
    branching: Path, name: str, value: dict[str, Any], field: str, message: str, hint: str
) -> None:
    """Each fault is told once, with file, line, field, what is wrong and what to do."""
    write_json(branching / name, value)
    faults = [fault for fault in check_folder(branching) if fault.field == field]
    assert faults, [str(fault) for fault in check_folder(branching)]
    fault = faults[0]
    assert fault.file == name
    assert fault.line > 0
    assert message in fault.message
    assert hint in fault.hint

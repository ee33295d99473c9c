"""From a request to a plan: what is merged, what is refused, and that a plan never changes."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.configs import ConfigSet, Plan, PlanRequest, build_plan, load_configs
from servicekit.errors import InvalidArgumentError, NotFoundError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def configs(folder: Path) -> ConfigSet:
    """The sound set, loaded."""
    return load_configs(folder)


def planned(configs: ConfigSet, config: str = "cut", language: str = "de", **wish: Any) -> Plan:
    return build_plan(configs, PlanRequest(config, language, **wish))


def test_texts_come_in_the_callers_language(configs: ConfigSet) -> None:
    """Chunks, rule, name and instruction are those of the caller's language."""
    plan = planned(configs)
    chunk = plan.flow.chunks[0]
    assert (chunk.language, chunk.system, chunk.template) == (
        "de", "Nach {{CONTEXT}}", "Text: {{PREVIOUS_OUTPUT}}",
    )  # fmt: skip
    assert (plan.config_name, plan.context) == ("Schnitt", "Zerschneide\nes.")
    assert plan.outputs[0].optimization_instruction == "Kurz."


def test_texts_fall_back_to_english(configs: ConfigSet) -> None:
    """A caller whose language nobody wrote gets English."""
    plan = planned(configs, language="tr")
    assert plan.flow.chunks[0].template == "Text:\n{{PREVIOUS_OUTPUT}}"
    assert (plan.language, plan.flow.chunks[0].language, plan.context) == ("tr", "en", "Cut it.")


def test_messages_are_rendered_from_the_plan(configs: ConfigSet) -> None:
    """What a model is sent follows from the plan and the values alone."""
    values = {"CONTEXT": "R", "PREVIOUS_OUTPUT": "{{CONTEXT}}"}
    assert planned(configs).flow.chunks[0].messages(values) == (
        ("system", "Nach R"),
        ("user", "Text: {{CONTEXT}}"),
    )


def test_parameters_of_chunks_are_merged(configs: ConfigSet) -> None:
    """A config's value wins over its pipeline's, the pipeline's over the chunk's."""
    parameters = planned(configs).flow.chunks[0].parameters
    assert (parameters.temperature, parameters.top_p) == (1.5, 0.8)
    assert (parameters.stop, parameters.keep_alive_seconds) == (("END",), 600.0)


def test_translation_keeps_its_own_parameters(configs: ConfigSet) -> None:
    """A config's temperature is for its own chunks, not for translating faithfully."""
    assert planned(configs).translation.parameters.temperature is None


def test_parameters_of_outputs_are_merged(configs: ConfigSet) -> None:
    """The caller's value wins over the pipeline's, that one over the output's default."""
    assert planned(configs).outputs[0].parameters == {"width": 256}
    plan = planned(configs, parameters={"width": "300", "style": '"cold"'})
    assert plan.outputs[0].parameters == {"width": 300, "style": "cold"}


def test_parameter_goes_to_outputs_that_know_it(configs: ConfigSet) -> None:
    """An output that does not know a parameter does not get it."""
    plan = planned(configs, "two", parameters={"width": "100"})
    assert [dict(output.parameters) for output in plan.outputs] == [{"width": 100}, {}]


@pytest.mark.parametrize(
    ("config", "wish", "ids"),
    [
        ("cut", {}, ["picture"]),
        ("two", {}, ["picture", "plain"]),
        ("whisper", {}, []),
        ("whisper", {"outputs": ("image", "plain", "image")}, ["picture", "plain", "picture"]),
        ("two", {"outputs": ("plain",)}, ["plain"]),
        ("two", {"text_only": True, "outputs": ("plain",)}, []),
    ],
)
def test_outputs_of_a_run(
    configs: ConfigSet, config: str, wish: dict[str, Any], ids: list[str]
) -> None:
    """The request's outputs, else the config's, else its default, else none; text only wins."""
    plan = planned(configs, config, **wish)
    assert [output.id for output in plan.outputs] == ids
    numbers = [output.loop_iteration for output in plan.outputs]
    assert numbers == list(range(1, len(ids) + 1))


def test_output_without_instruction_has_no_phase_two(configs: ConfigSet) -> None:
    """Phase 2 is planned only where an output says how."""
    first, second = planned(configs, "two").outputs
    assert first.optimization is not None
    assert (second.optimization, second.optimization_instruction) == (None, None)


def test_callers_rule_stands_in_for_the_configs(configs: ConfigSet) -> None:
    """The caller's own context is planned, and named among the texts to check."""
    plan = planned(configs, context="Alles rückwärts")
    assert (plan.context, plan.context_source) == ("Alles rückwärts", "caller")
    assert [(text.field, text.text) for text in plan.caller_texts] == [
        ("context", "Alles rückwärts")
    ]


def test_free_text_parameters_are_checked_too(configs: ConfigSet) -> None:
    """A text that the caller wrote into a parameter is an input; a chosen word is not."""
    plan = planned(configs, parameters={"negative_prompt": '"Nebel"', "style": '"warm"'})
    assert [(text.field, text.text) for text in plan.caller_texts] == [
        ("parameters[negative_prompt]", "Nebel")
    ]


@pytest.mark.parametrize("context", [None, "", "  "])
def test_without_a_rule_the_text_passes_through(configs: ConfigSet, context: str | None) -> None:
    """A pipeline that needs a rule runs no chunk when there is none."""
    plan = planned(configs, "own", context=context)
    assert (plan.flow.kind, plan.flow.chunks, plan.context_source) == ("sequence", (), "none")


def test_with_a_rule_the_chunks_run(configs: ConfigSet) -> None:
    """The same pipeline runs its chunks when the caller brings a rule."""
    assert [chunk.id for chunk in planned(configs, "own", context="x").flow.chunks] == ["rewrite"]


def test_telephone_game_is_planned_but_not_drawn(configs: ConfigSet) -> None:
    """A plan says what to draw from; drawing is for the run, which records it."""
    flow = planned(configs, "whisper").flow
    assert flow.kind == "iterative"
    assert (flow.iterations, flow.languages, flow.language_pool, flow.final_language) == (
        3, "random", ("fr", "tr"), "en",
    )  # fmt: skip


def test_fixed_languages_hold_the_final_one(folder: Path, change: Callable[..., None]) -> None:
    """Fixed languages name every pass, the last one being the final language."""
    change("pipelines/loop.json", {"control_flow": {
        "kind": "iterative", "chunks": ["translation"], "iterations": 3,
        "languages": ["fr", "tr"], "final_language": "en"}})  # fmt: skip
    flow = planned(load_configs(folder), "whisper").flow
    assert flow.kind == "iterative"
    assert flow.languages == ("fr", "tr", "en")


@pytest.mark.parametrize(
    ("config", "wish", "error", "reason", "field"),
    [
        ("cutt", {}, NotFoundError, "CONFIG_NOT_FOUND", "config"),
        ("cut", {"outputs": ("picture", "nope")}, NotFoundError, "OUTPUT_NOT_FOUND", "outputs[1]"),
        ("cut", {"outputs": ("video",)}, NotFoundError, "OUTPUT_NOT_FOUND", "outputs[0]"),
        ("cut", {"outputs": ("plain",) * 9}, InvalidArgumentError, "TOO_MANY_OUTPUTS", "outputs"),
        ("cut", {"text_count": 2}, InvalidArgumentError, "WRONG_INPUT_COUNT", "texts"),
        ("cut", {"text_count": 0}, InvalidArgumentError, "WRONG_INPUT_COUNT", "texts"),
        ("cut", {"image_count": 1}, InvalidArgumentError, "WRONG_INPUT_COUNT", "images"),
        ("whisper", {"context": "x"}, InvalidArgumentError, "CONTEXT_NOT_ACCEPTED", "context"),
        ("cut", {"parameters": {"wdth": "1"}}, InvalidArgumentError, "PARAMETER_UNKNOWN",
         "parameters[wdth]"),
        ("cut", {"parameters": {"seed": "1"}}, InvalidArgumentError, "PARAMETER_UNKNOWN",
         "parameters[seed]"),
        ("whisper", {"parameters": {"width": "100"}}, InvalidArgumentError, "PARAMETER_UNKNOWN",
         "parameters[width]"),
        *(
            ("cut", {"parameters": {name: text}}, InvalidArgumentError, "PARAMETER_OUT_OF_RANGE",
             f"parameters[{name}]")
            for name, text in [
                ("width", "63"), ("width", "513"), ("width", "100.0"), ("width", "true"),
                ("width", '"100"'), ("width", "NaN"), ("width", "1e999"), ("width", "[1]"),
                ("width", "null"), ("width", "x"), ("width", ""), ("width", "9" * 5000),
                ("width", "[" * 100_000), ("style", '"hot"'), ("style", "warm"),
                ("negative_prompt", f'"{"x" * 21}"'), ("negative_prompt", '"\\ud800"'),
            ]
        ),
    ],
)  # fmt: skip
def test_wrong_request_is_refused(
    configs: ConfigSet,
    config: str,
    wish: dict[str, Any],
    error: type[ServiceError],
    reason: str,
    field: str,
) -> None:
    """What is wrong with a request is said with the reason and the field of the contract."""
    with pytest.raises(error) as caught:
        planned(configs, config, **wish)
    assert caught.value.reason == reason
    assert caught.value.violations[0][0] == field


def test_unknown_names_come_with_a_guess(configs: ConfigSet) -> None:
    """A typing error is answered with what was probably meant."""
    with pytest.raises(NotFoundError, match=r"Did you mean cut\?"):
        planned(configs, "cutt")
    with pytest.raises(InvalidArgumentError, match=r"Did you mean width\?"):
        planned(configs, parameters={"wdth": "1"})


def test_configs_value_that_does_not_fit_a_chosen_output(
    folder: Path, change: Callable[..., None]
) -> None:
    """An output that cannot take the config's own value is refused, not quietly changed."""
    change("interception/whisper.json", {"parameters": {"width": 4000}})
    with pytest.raises(InvalidArgumentError) as caught:
        planned(load_configs(folder), "whisper", outputs=("picture",))
    assert caught.value.reason == "PARAMETER_OUT_OF_RANGE"
    assert caught.value.violations[0][0] == "outputs[0]"


def test_plan_names_its_roles_and_takes_their_models(configs: ConfigSet) -> None:
    """The roles that a run may ask are known before it starts, and their models become part."""
    plan = planned(configs)
    assert plan.roles == ("interception", "optimization", "translation")
    assert plan.flow.chunks[0].model == "ollama/special"
    before = plan.digest
    models = {role: f"embedded/{role}" for role in plan.roles}
    named = plan.with_models(models)
    assert named.models == models
    assert (plan.models, plan.digest) == ({}, before)
    assert named.digest != before


def test_digest_is_that_of_the_stored_bytes(configs: ConfigSet) -> None:
    """The digest is the SHA-256 of exactly the JSON that is stored."""
    plan = planned(configs)
    assert plan.digest == hashlib.sha256(plan.to_json().encode()).hexdigest()
    assert plan.to_json() == json.dumps(
        json.loads(plan.to_json()), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )


def test_same_request_gives_the_same_digest(folder: Path) -> None:
    """Loading again and planning again gives the same bytes."""
    first, second = load_configs(folder), load_configs(folder)
    assert first.digest == second.digest
    assert planned(first).digest == planned(second).digest


def test_digests_follow_the_content(folder: Path, change: Callable[..., None]) -> None:
    """A changed chunk changes the generation and the configs that use it, and no other."""
    before = load_configs(folder)
    change("chunks/rewrite.json", {"template": "New {{PREVIOUS_OUTPUT}}"})
    after = load_configs(folder)
    assert before.digest != after.digest
    changed = {
        id_ for id_, digest in after.interception_digests.items()
        if digest != before.interception_digests[id_]
    }  # fmt: skip
    assert changed == {"cut", "own", "two"}
    assert before.output_digests == after.output_digests


def test_explicit_writing_of_defaults_changes_no_digest(
    folder: Path, change: Callable[..., None]
) -> None:
    """What a file says twice, once by default, is the same content."""
    before = load_configs(folder)
    change("interception/own.json", {"$schema": "../schema/interception.json", "tags": []})
    assert load_configs(folder).digest == before.digest


def test_plan_cannot_be_changed(configs: ConfigSet) -> None:
    """Nothing in a plan, however deep, can be set."""
    plan: Any = planned(configs)
    with pytest.raises(ValidationError, match="frozen"):
        plan.context = "x"
    with pytest.raises(ValidationError, match="frozen"):
        plan.outputs[0].parameters = {}
    with pytest.raises(TypeError):
        plan.outputs[0].parameters["width"] = 1
    with pytest.raises(TypeError):
        plan.outputs[0] = None
    with pytest.raises(TypeError):
        plan.models["interception"] = "x"


def test_config_set_cannot_be_changed(configs: ConfigSet) -> None:
    """A generation is frozen as well."""
    frozen: Any = configs
    with pytest.raises(TypeError):
        frozen.interception["cut"] = None
    with pytest.raises(TypeError):
        frozen.interception["cut"].name.texts["en"] = "x"
    with pytest.raises(ValidationError, match="frozen"):
        frozen.chunks["rewrite"].parameters.temperature = 2


@pytest.mark.parametrize("make", [copy.deepcopy, lambda plan: pickle.loads(pickle.dumps(plan))])
def test_plan_can_be_copied(configs: ConfigSet, make: Callable[[Plan], Plan]) -> None:
    """A plan can be copied and sent to another process, and stays equal."""
    plan = planned(configs)
    assert make(plan) == plan
    assert hash(make(plan)) == hash(plan)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    config=st.sampled_from(["cut", "own", "two", "whisper"]),
    language=st.sampled_from(["de", "en", "tr"]),
    context=st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    outputs=st.lists(st.sampled_from(["picture", "plain", "image"]), max_size=4),
    width=st.integers(64, 512),
)
def test_plan_survives_storing(
    configs: ConfigSet, config: str, language: str, context: str, outputs: list[str], width: int
) -> None:
    """A plan that was stored and read again is the same plan with the same digest."""
    plan = planned(
        configs, config, language, outputs=tuple(outputs),
        context=context if configs.interception[config].accepts_context else None,
        parameters={"width": str(width)} if {"picture", "image"} & set(outputs) else {},
    )  # fmt: skip
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.digest == plan.digest
    assert Plan.from_json(plan.to_json().encode()).to_json() == plan.to_json()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"plan_version": 2}'])
def test_what_is_no_plan_is_refused(text: str) -> None:
    """A stored text of another form or version is not taken for a plan."""
    with pytest.raises(ValidationError):
        Plan.from_json(text)


def test_pipeline_can_leave_the_words_alone(folder: Path, change: Callable[..., None]) -> None:
    """A pipeline that does not optimize gives an output's model the text as it is."""
    wanted = PlanRequest("cut", "en", outputs=("picture",))
    assert build_plan(load_configs(folder), wanted).outputs[0].optimization is not None
    change("pipelines/once.json", {"optimize": False})
    output = build_plan(load_configs(folder), wanted).outputs[0]
    assert (output.optimization, output.optimization_instruction) == (None, None)

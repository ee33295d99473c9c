"""Folders of the predecessor that are in order: what they say is what runs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from orchestrator.configs import PlanRequest, build_plan, load_configs, shipped_configs_dir
from orchestrator.configs.flows import IterativeFlow
from orchestrator.configs.imported import keep_copy, load_with_imported
from orchestrator.configs.loader import load_node_classes
from orchestrator.configs.predecessor import Imported, Result, read_folder
from tests.unit.orchestrator.predecessor.folder import FILES, write

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.configs import ConfigSet


@cache
def shipped() -> ConfigSet:
    """The configs that Stellwerk comes with."""
    return load_configs(shipped_configs_dir())


def read(folder: Path) -> Imported:
    """Read a folder beside the shipped configs."""
    return read_folder(folder, shipped(), load_node_classes(shipped_configs_dir()))


@pytest.fixture
def configs(tmp_path: Path) -> ConfigSet:
    """The whole planted folder, read."""
    return read(write(tmp_path)).configs


def test_every_file_is_loaded_and_told(tmp_path: Path) -> None:
    """There is one report for each file, by path, and none is refused."""
    found = read(write(tmp_path))
    assert [report.file for report in found.reports] == sorted(FILES)
    assert {r.file: r.reason for r in found.reports if r.result is Result.REFUSED} == {}


def test_ids_are_those_of_the_predecessor(configs: ConfigSet) -> None:
    """By folder, by user, by a name that is a text, else by path."""
    assert configs.interception.keys() - shipped().interception.keys() == {
        "dadaist",
        "telephone",
        "through",
        "mine",
        "styled",
        "pair",
        "own_chunks",
        "u_ada_wild",
        "a_named_one",
    }
    assert configs.output.keys() - shipped().output.keys() == {
        "output/paint",
        "output/service",
        "output/sketch_code",
        "styled/output/paint",
    }


def test_whole_context_and_all_parameters_reach_the_plan(configs: ConfigSet) -> None:
    """No paragraph is lost; the config's parameters win over the pipeline's, in any case."""
    plan = build_plan(configs, PlanRequest("dadaist", "de"))
    assert plan.context == "Zerschneide.\n\nMische."
    [chunk] = plan.flow.chunks
    assert (chunk.role, chunk.parameters.temperature) == ("interception", 0.9)
    assert (chunk.parameters.max_tokens, chunk.parameters.keep_alive) == (512, "10m")
    assert chunk.template.endswith("Text: {{INPUT_TEXT}}\nsour")
    assert "{{CONTEXT}}" in chunk.template
    assert "TASK_INSTRUCTION" not in chunk.template
    config = configs.interception["dadaist"]
    assert (config.tags, config.audience.min_age) == (("art", "chaotic"), 10)
    assert config.name.text_for("de") == "Dadaistisch"


def test_workflow_gets_prompt_and_defaults_at_its_places(configs: ConfigSet) -> None:
    """Node ids, lists of places, defaults and the instruction of the chunk come through."""
    output = configs.output["output/paint"]
    workflow = configs.workflow_of(output)
    assert workflow is not None
    assert workflow.input_mappings["prompt"][0].node_id == "6"
    assert workflow.input_mappings["negative_prompt"][0].default == "blurry"
    assert workflow.output_mapping[0].output_type == "image"
    defaults = {name: spec.default for name, spec in output.parameters.items()}
    assert defaults == {
        "negative_prompt": "blurry",
        "width": 1024,
        "height": 512,
        "steps": 30,
        "cfg": 7,
    }
    assert output.optimization_instruction is not None
    assert output.optimization_instruction.text_for("en") == "Write short phrases with commas."


def test_repeated_pipeline_runs_as_often_as_it_says(configs: ConfigSet) -> None:
    """The config's number counts, and the text alone is the result."""
    flow = configs.pipelines[configs.interception["telephone"].pipeline].control_flow
    assert isinstance(flow, IterativeFlow)
    assert flow.iterations == 3
    assert configs.outputs_of(configs.interception["telephone"]) == ()


def test_skipped_interception_runs_no_chunk(configs: ConfigSet) -> None:
    """By the pipeline's `skip_stage2` or the config's `instruction_type`."""
    for name in ("through", "pair"):
        flow = configs.pipelines[configs.interception[name].pipeline].control_flow
        assert flow.chunks == ()
    needs = configs.pipelines[configs.interception["pair"].pipeline].input_requirements
    assert (needs.texts, needs.images) == (2, 2)


def test_people_give_the_rule_where_the_pipeline_asks_for_it(configs: ConfigSet) -> None:
    """Without a rule nothing is rewritten."""
    config = configs.interception["mine"]
    assert config.accepts_context
    assert configs.pipelines[config.pipeline].without_context == "pass_through"


def test_loras_go_to_an_output_of_the_config_alone(configs: ConfigSet) -> None:
    """The shared output stays as it is."""
    [own] = configs.outputs_of(configs.interception["styled"])
    assert [lora.name for lora in configs.output[own].loras] == ["ink.safetensors"]
    assert configs.output["output/paint"].loras == ()


def test_services_and_code_are_outputs(configs: ConfigSet) -> None:
    """A picture service by its model; a language model's code as text, by the coding role."""
    service = configs.output["output/service"]
    assert (service.backend, service.model) == ("openai_images", "images/gpt-image-1")
    code = configs.output["output/sketch_code"]
    assert code.chunk is not None
    assert configs.chunks[code.chunk].role == "coding"


def test_shipped_configs_stay_as_they_are(configs: ConfigSet) -> None:
    """What the folder brings never changes a config of ours."""
    now = {id_: configs.interception_digests[id_] for id_ in shipped().interception}
    assert now == shipped().interception_digests


def test_copy_is_loaded_at_the_next_start(tmp_path: Path) -> None:
    """The files that count are copied unchanged, and a second import replaces the first."""
    source = write(tmp_path / "school")
    write(source, {"configs/interception/off.json.disabled": "{", "notes.txt": "x"})
    for _ in range(2):
        kept = keep_copy(source, tmp_path / "imported")
    names = {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()}
    assert names == set(FILES)
    configs = load_with_imported(shipped_configs_dir(), tmp_path / "imported")
    assert "dadaist" in configs.interception
    assert [path.name for path in (tmp_path / "imported").iterdir()] == ["school"]

"""Chunks are checked when they are loaded, and parameters go where they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation_service.backends.comfyui.errors import (
    LoraNotApplicableError,
    WorkflowInvalidError,
)
from generation_service.backends.comfyui.graph import bind, models_of
from generation_service.backends.comfyui.workflow import graph_sha256, is_link, load_workflow
from tests.integration.comfyui import chunk, node, picture_graph, sampler_graph

SEED = {"node_id": "3", "field": "inputs.seed"}


def mapped(**mappings: Any) -> dict[str, Any]:
    """A sampler chunk with input mappings."""
    return chunk(sampler_graph(), "9", input_mappings=mappings)


def faults_of(chunk_: dict[str, Any]) -> list[str]:
    """What is wrong with a chunk, one line per fault."""
    with pytest.raises(WorkflowInvalidError) as caught:
        load_workflow(chunk_)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    "place",
    [
        {"node_id": "6"},
        {"node_id": 6},
        {"title": "Prompt"},
        {"title": "Prompt", "class_type": "CLIPTextEncode"},
    ],
    ids=str,
)
def test_node_is_found_by_id_or_title(place: dict[str, Any]) -> None:
    """A mapping names its node by id, by title, or by both title and class."""
    graph = sampler_graph()
    graph["6"]["_meta"] = {"title": "Prompt"}
    mapping = {"prompt": place | {"field": "inputs.text"}}
    bound = bind(load_workflow(chunk(graph, "9", input_mappings=mapping)), {"prompt": "a fish"})
    assert bound.graph["6"]["inputs"]["text"] == "a fish"


def test_node_is_found_by_a_class_that_occurs_once() -> None:
    """A class is enough where it is unique, also for outputs."""
    graph = sampler_graph()
    made = chunk(
        graph,
        {"class_type": "SaveImage"},
        input_mappings={"seed": {"class_type": "KSampler", "field": "inputs.seed"}},
    )
    workflow = load_workflow(made)
    assert workflow.outputs[0].node_id == "9"
    assert bind(workflow, {"seed": 5}).graph["3"]["inputs"]["seed"] == 5


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_seeds_keep_every_bit(seed: int) -> None:
    """A 64-bit seed survives binding, hashing and JSON exactly."""
    bound = bind(load_workflow(mapped(seed=SEED)), {"seed": seed})
    assert json.loads(json.dumps(bound.graph))["3"]["inputs"]["seed"] == seed
    assert bound.applied == {"seed": seed}


def test_one_parameter_may_go_to_several_places() -> None:
    """A list of places gets the same value everywhere."""
    sizes = [{"node_id": "5", "field": f"inputs.{name}"} for name in ("width", "height")]
    bound = bind(load_workflow(mapped(size=sizes)), {"size": 128})
    assert (bound.graph["5"]["inputs"]["width"], bound.graph["5"]["inputs"]["height"]) == (128, 128)


def test_defaults_sources_and_the_graphs_own_values() -> None:
    """What is not given comes from the source, else the default, else the graph; all is told."""
    workflow = load_workflow(
        mapped(
            text={"node_id": "6", "field": "inputs.text", "source": "{{PREVIOUS_OUTPUT}}"},
            steps={"node_id": "3", "field": "inputs.steps", "default": 7},
            cfg={"node_id": "3", "field": "inputs.cfg"},
        )
    )
    bound = bind(workflow, {"prompt": "a fish", "cfg": None})
    assert bound.applied == {"text": "a fish", "steps": 7, "cfg": 7.0}
    assert bound.warnings == ()


def test_random_default_is_drawn_once_per_key() -> None:
    """The same parameter gets the same number in every place, and it is told."""
    steps = {"node_id": "3", "field": "inputs.steps", "default": "random"}
    workflow = load_workflow(mapped(seed=[SEED | {"default": "random"}, steps]))
    numbers = iter(range(11, 20))
    inputs = bind(workflow, {}, draw=lambda: next(numbers)).graph["3"]["inputs"]
    assert inputs["seed"] == inputs["steps"] == 11


def test_unmapped_parameters_are_warned_of() -> None:
    """What the output cannot use is said, not swallowed."""
    bound = bind(load_workflow(mapped(seed=SEED)), {"seed": 1, "tempo_bpm": 90, "key": None})
    assert len(bound.warnings) == 1
    assert "tempo_bpm" in bound.warnings[0]


def test_whole_numbers_stay_whole() -> None:
    """A transport that knows only doubles turns 64 into 64.0; the graph gets 64."""
    bound = bind(load_workflow(mapped(seed=SEED)), {"seed": 64.0})
    assert repr(bound.graph["3"]["inputs"]["seed"]) == "64"


def test_list_of_a_person_becomes_no_link() -> None:
    """A list is wrapped as a literal, so nobody rewires a graph by a parameter."""
    place = {"node_id": "6", "field": "inputs.text"}
    bound = bind(load_workflow(mapped(prompt=place)), {"prompt": ["4", 0]})
    value = bound.graph["6"]["inputs"]["text"]
    assert value == {"__value__": ["4", 0]}
    assert not is_link(value)


def test_binding_leaves_the_chunk_alone() -> None:
    """The same workflow can be bound again and again."""
    workflow = load_workflow(mapped(seed=SEED))
    before = workflow.sha256
    assert bind(workflow, {"seed": 5}).sha256 != before
    assert workflow.sha256 == before == graph_sha256(sampler_graph())


def test_hash_does_not_depend_on_order() -> None:
    """Two files that mean the same graph have one hash."""
    graph = sampler_graph()
    assert graph_sha256(graph) == graph_sha256(dict(reversed(graph.items())))


def test_every_saving_node_gets_a_name_of_the_prompts_own() -> None:
    """File names differ between prompts and between the nodes of one; the hash does not."""
    graph = picture_graph() | {"3": node("SaveImage", images=["1", 0], filename_prefix="x")}
    bound = bind(load_workflow(chunk(graph, "2", "3")), {})
    first, second = bound.graph_for("aaaa"), bound.graph_for("bbbb")
    names = [g[n]["inputs"]["filename_prefix"] for g in (first, second) for n in ("2", "3")]
    assert len(set(names)) == 4
    assert all("aaaa" in name for name in names[:2])
    assert bound.graph["2"]["inputs"]["filename_prefix"] == "x"


PLACE = {"model": {"node_id": "4", "slot": 0}, "clip": {"node_id": "4", "slot": 1}}


def test_loras_are_chained_before_everyone_who_uses_the_model() -> None:
    """Two LoRAs: the first takes the loader's outputs, all users take the second's."""
    workflow = load_workflow(chunk(sampler_graph(), "9", lora_place=PLACE))
    loras = ["a.safetensors", {"name": "b.safetensors", "strength": 0.5}]
    bound = bind(workflow, {"loras": loras})
    graph = bound.graph
    assert graph["lora_1"]["inputs"]["model"] == ["4", 0]
    assert graph["lora_2"]["inputs"] == {
        "model": ["lora_1", 0],
        "clip": ["lora_1", 1],
        "lora_name": "b.safetensors",
        "strength_model": 0.5,
        "strength_clip": 0.5,
    }
    assert graph["3"]["inputs"]["model"] == ["lora_2", 0]
    assert [graph[n]["inputs"]["clip"] for n in ("6", "7")] == [["lora_2", 1]] * 2
    assert graph["8"]["inputs"]["vae"] == ["4", 2]
    assert bound.applied["loras"] == loras
    assert "a.safetensors" in models_of(graph)


def test_loras_of_a_model_alone() -> None:
    """A place without a text encoder uses the loader that changes the model only."""
    place = {"model": {"class_type": "CheckpointLoaderSimple"}}
    workflow = load_workflow(chunk(sampler_graph(), "9", lora_place=place))
    graph = bind(workflow, {"loras": ["a.safetensors"]}).graph
    assert graph["lora_1"]["class_type"] == "LoraLoaderModelOnly"
    assert graph["6"]["inputs"]["clip"] == ["4", 1]


def test_loras_without_a_place_are_an_error() -> None:
    """What cannot be applied is not ignored; no LoRAs at all are fine."""
    workflow = load_workflow(chunk(sampler_graph(), "9"))
    with pytest.raises(LoraNotApplicableError):
        bind(workflow, {"loras": ["a.safetensors"]})
    assert bind(workflow, {"loras": []}).graph == sampler_graph()


@pytest.mark.parametrize(
    "loras", ["a.safetensors", [{"strength": 1}], [{"name": "a", "strength": "x"}]]
)
def test_nonsense_for_loras_is_refused(loras: Any) -> None:
    """A LoRA has a name and a number."""
    workflow = load_workflow(chunk(sampler_graph(), "9", lora_place=PLACE))
    with pytest.raises(WorkflowInvalidError):
        bind(workflow, {"loras": loras})


def test_models_are_those_of_the_loaders() -> None:
    """The checkpoint counts, the sampler's name does not."""
    assert models_of(sampler_graph()) == {"sd15_tiny.safetensors"}


def test_every_fault_of_a_chunk_is_told_at_once() -> None:
    """An author sees all mistakes in one go, each with its place."""
    bad = chunk(
        sampler_graph(),
        {"title": "nowhere"},
        input_mappings={
            "seed": {"node_id": "33", "field": "inputs.seed"},
            "steps": {"node_id": "3", "field": "inputs.stpes"},
            "text": {"class_type": "CLIPTextEncode", "field": "inputs.text"},
            "cfg": {"field": "inputs.cfg"},
            "x": "3",
        },
        lora_place={"model": {"node_id": "44"}},
    )
    faults = faults_of(bad)
    assert len(faults) == 7
    text = "\n".join(faults)
    for part in ("'33'", "inputs.steps", "6, 7", "'nowhere'", "'44'", "by node_id, title"):
        assert part in text


@pytest.mark.parametrize(
    ("graph", "part"),
    [
        ({"nodes": [], "links": []}, "editor's own save format"),
        ({}, "no graph"),
        (None, "no graph"),
        ({"1": {"class_type": "EmptyImage"}}, "must have inputs"),
        ({"1": {"class_type": "EmptyImage", "inputs": []}}, "must have inputs"),
        ({"1": {"inputs": {}}}, "must have a class_type"),
        ({"1": node("X", images=[2, 0])}, "no link"),
        ({"1": node("X", images=["2", 0])}, "does not exist"),
        ({"1": node("X", images=["1", 0, 0])}, "no link"),
    ],
)
def test_graphs_that_would_hurt_a_worker_are_refused(graph: Any, part: str) -> None:
    """A node without inputs kills a worker's thread; it never gets there."""
    assert part in faults_of({"workflow": graph, "output_mapping": {"node_id": "1"}})[0]


def test_output_mapping_is_needed() -> None:
    """Nobody guesses which node makes the result."""
    assert "output_mapping" in faults_of({"workflow": sampler_graph()})[0]

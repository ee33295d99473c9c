"""Workflows: every kind of fault with its place, and how an execution carries one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.configs import (
    Plan,
    PlanRequest,
    build_plan,
    check_folder,
    load_configs,
)
from servicekit.errors import InvalidArgumentError
from tests.unit.orchestrator.configs.conftest import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.configs import Fault

Json = dict[str, Any]

NODES: Json = {
    "model": {
        "class_type": "CheckpointLoaderSimple",
        "inputs": {"ckpt_name": "small.safetensors"},
    },
    "1": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "", "clip": ["model", 1]},
        "_meta": {"title": "Prompt"},
    },
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["model", 1]}},
    "photo": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "encode": {"class_type": "VAEEncode", "inputs": {"pixels": ["photo", 0], "vae": ["model", 2]}},
    "sampler": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["model", 0], "positive": ["1", 0], "negative": ["2", 0],
            "latent_image": ["encode", 0], "seed": 18446744073709551615, "steps": 4, "cfg": 7.0,
            "sampler_name": "euler", "scheduler": "simple", "denoise": 0.5,
        },
    },
    "decode": {
        "class_type": "VAEDecode",
        "inputs": {"samples": ["sampler", 0], "vae": ["model", 2]},
    },
    "save": {
        "class_type": "SaveImage",
        "inputs": {"images": ["decode", 0], "filename_prefix": "x"},
    },
}  # fmt: skip
WORKFLOW: Json = {
    "requires": [{"folder": "checkpoints", "file": "small.safetensors"}],
    "input_mappings": {
        "prompt": {"title": "Prompt", "field": "inputs.text"},
        "seed": {"class_type": "KSampler", "field": "inputs.seed"},
        "steps": [{"node_id": "sampler", "field": "inputs.steps", "default": 8}],
        "input_image": {"node_id": "photo", "field": "inputs.image"},
    },
    "output_mapping": {"node_id": "save", "output_type": "image", "format": "png"},
    "lora_place": {"model": {"node_id": "model"}, "clip": {"node_id": "model", "slot": 1}},
    "graph": NODES,
}
OUTPUT: Json = {
    "name": "Graph",
    "description": "A picture by a graph.",
    "media_type": "image",
    "backend": "comfyui",
    "workflow": "graph",
    "loras": [{"name": "ink.safetensors", "strength": 0.5}],
    "parameters": {"steps": {"type": "integer", "default": 6, "maximum": 20}},
}


@pytest.fixture
def with_graph(folder: Path) -> Path:
    """The sound folder with an output that has a workflow, and a config that takes a picture."""
    write_json(folder / "workflows/graph.json", WORKFLOW)
    write_json(folder / "output/graph.json", OUTPUT)
    write_json(
        folder / "pipelines/seen.json",
        {
            "input_requirements": {"images": 1},
            "control_flow": {"kind": "sequence", "chunks": []},
        },
    )
    write_json(
        folder / "interception/seen.json",
        {"name": "Seen", "description": "With a picture.", "pipeline": "seen"},
    )
    return folder


def node(name: str, **update: Any) -> Json:
    """A change of one node's inputs; None takes an input away."""
    before = NODES[name]
    inputs = {k: v for k, v in {**before["inputs"], **update}.items() if v is not None}
    return {"graph": {**NODES, name: {**before, "inputs": inputs}}}


def mapped(key: str, place: object) -> Json:
    return {"input_mappings": {**WORKFLOW["input_mappings"], key: place}}


def only_fault(folder: Path) -> Fault:
    faults = check_folder(folder)
    assert len(faults) == 1, [str(fault) for fault in faults]
    return faults[0]


def test_sound_workflow_has_no_fault(with_graph: Path) -> None:
    """A graph whose mappings all fit loads."""
    assert check_folder(with_graph) == []


# what is changed in the workflow, field, part of the message, part of the hint
PLANTED: list[tuple[Json, str, str, str]] = [
    (mapped("prompt", {"node_id": "promt", "field": "inputs.text"}),
     "input_mappings.prompt.node_id", 'No node has the node_id "promt"', ""),
    (mapped("prompt", {"title": "Promt", "field": "inputs.text"}), "input_mappings.prompt.title",
     'the title "Promt"', "Did you mean Prompt?"),
    (mapped("prompt", {"class_type": "CLIPTextEncode", "field": "inputs.text"}),
     "input_mappings.prompt.class_type", "2 nodes have the class_type", "by its node_id"),
    (mapped("prompt", {"field": "inputs.text"}), "input_mappings.prompt", "one of node_id", ""),
    (mapped("prompt", {"node_id": "1", "title": "Prompt", "field": "inputs.text"}),
     "input_mappings.prompt", "one of node_id", ""),
    (mapped("prompt", {"node_id": "1", "field": "inputs.txt"}), "input_mappings.prompt.field",
     'CLIPTextEncode has no input "txt"', "Did you mean text?"),
    (mapped("prompt", {"node_id": "1", "field": "text"}), "input_mappings.prompt.field",
     "not written as it should be", "inputs.<name>"),
    (mapped("prompt", {"node_id": "1", "field": "inputs.clip"}), "input_mappings.prompt.field",
     "linked to another node", "Map that"),
    (mapped("width", [{"node_id": "1", "field": "inputs.text"}]),
     "input_mappings.width[0].field", "prompt is written here already", "one of them"),
    ({"output_mapping": {"node_id": "safe", "output_type": "image"}}, "output_mapping.node_id",
     '"safe"', "Did you mean save?"),
    ({"output_mapping": {"node_id": "save", "output_type": "picture"}},
     "output_mapping.output_type", '"picture" is not possible', "image"),
    ({"lora_place": {"model": {"node_id": "model", "slot": 7}, "clip": {"node_id": "model",
     "slot": 1}}}, "lora_place.model", "Nothing is linked to output 7", "change nothing"),
    (node("decode", samples=["simpler", 0]), "graph.decode.inputs.samples",
     'node "simpler" that is not there', "Did you mean sampler?"),
    (node("decode", samples=[1, 0]), "graph.decode.inputs.samples", "is a text", '["1", 0]'),
    (node("1", text=["a", "b", "c"]) | {"input_mappings": {}, "output_mapping": WORKFLOW[
     "output_mapping"]}, "graph.1.inputs.text", "This list is no link", "__value__"),
    (node("model", ckpt_name="big.safetensors") | {"requires": []}, "graph.model.inputs.ckpt_name",
     "big.safetensors is missing in requires", "folder"),
    ({"requires": [*WORKFLOW["requires"], {"folder": "vae", "file": "v.safetensors"}]},
     "requires[1].file", "does not load it", "small.safetensors"),
    ({"graph": {**NODES, "extra": {"class_type": "PreviewAny", "inputs": {"source": ["extra",
     0]}}}}, "graph.extra", "lead in a circle", ""),
    ({"graph": {**NODES, "extra": {"class_type": "ShellCommand", "inputs": {}}}},
     "graph.extra.class_type", "ShellCommand is not allowed", "node_classes.json"),
    ({"graph": {**NODES, "extra": {"class_type": "PreviewAny"}}}, "graph.extra.inputs",
     '"inputs" is missing', "stops the worker"),
    ({"graph": {**NODES, "extra": {"inputs": {}}}}, "graph.extra.class_type",
     '"class_type" is missing', "/object_info"),
    ({"graph": {"last_node_id": 3, "nodes": [], "links": []}}, "graph", "editor's own format",
     "Export (API)"),
]  # fmt: skip


@pytest.mark.parametrize(("update", "field", "message", "hint"), PLANTED)
def test_fault_of_a_workflow_is_told_with_its_place(
    with_graph: Path, update: Json, field: str, message: str, hint: str
) -> None:
    """A fault names the file, the line that holds the field, the field, and what to do."""
    # What refers to the workflow would find fault with it too.
    (with_graph / "output/graph.json").unlink()
    path = with_graph / "workflows/graph.json"
    write_json(path, {**WORKFLOW, **update})
    fault = only_fault(with_graph)
    assert (fault.file, fault.field) == ("workflows/graph.json", field)
    assert message in fault.message
    assert hint in fault.hint
    assert fault.line > 1 or field == "output_mapping"


def test_fault_names_the_very_line(with_graph: Path) -> None:
    """A link to nowhere is told with the line on which it stands."""
    (with_graph / "output/graph.json").unlink()
    path = with_graph / "workflows/graph.json"
    write_json(path, {**WORKFLOW, **node("save", images=["nowhere", 0])})
    fault = only_fault(with_graph)
    assert '"images": [' in path.read_text(encoding="utf-8").splitlines()[fault.line - 1]


OUTPUT_FAULTS: list[tuple[Json, str, str, str]] = [
    ({"workflow": "grap"}, "workflow", 'no workflow "grap"', "Did you mean graph?"),
    ({"workflow": None}, "workflow", '"workflow" is missing', "workflows/"),
    ({"backend": "embedded", "model": "m", "loras": None}, "workflow", "does not belong here",
     "Only the backend comfyui"),
    ({"parameters": {"stepps": {"type": "integer"}}}, "parameters.stepps",
     "graph has no input mapping for it", "Did you mean steps?"),
    ({"media_type": "video"}, "media_type", "graph makes image, not video", ""),
]  # fmt: skip


@pytest.mark.parametrize(("update", "field", "message", "hint"), OUTPUT_FAULTS)
def test_fault_between_output_and_workflow(
    with_graph: Path, update: Json, field: str, message: str, hint: str
) -> None:
    """What an output wants of its workflow in vain is a fault of the output."""
    output = {key: value for key, value in {**OUTPUT, **update}.items() if value is not None}
    write_json(with_graph / "output/graph.json", output)
    fault = only_fault(with_graph)
    assert (fault.file, fault.field) == ("output/graph.json", field)
    assert message in fault.message
    assert hint in fault.hint


def test_loras_need_a_place(with_graph: Path) -> None:
    """An output with LoRAs and a workflow without a place for them is a fault, not silence."""
    without = {key: value for key, value in WORKFLOW.items() if key != "lora_place"}
    write_json(with_graph / "workflows/graph.json", without)
    assert only_fault(with_graph).field == "loras"


def test_own_allow_list_replaces_the_shipped_one(
    with_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder's node_classes.json says what its workflows may use; the environment names more."""
    classes = sorted({str(each["class_type"]) for each in NODES.values()} - {"KSampler"})
    write_json(with_graph / "node_classes.json", {"classes": {"few": classes}})
    assert only_fault(with_graph).field == "graph.sampler.class_type"
    monkeypatch.setenv("COMFYUI_NODE_CLASSES", "MyLoader,KSampler")
    assert check_folder(with_graph) == []
    monkeypatch.delenv("COMFYUI_NODE_CLASSES")
    write_json(with_graph / "node_classes.json", {"classes": {"few": [*classes, "KSampler"]}})
    assert check_folder(with_graph) == []


def test_faulty_allow_list_is_told_once(with_graph: Path) -> None:
    """A broken node_classes.json is one fault, and not one more for each node."""
    write_json(with_graph / "node_classes.json", {"classes": ["KSampler"]})
    assert only_fault(with_graph).file == "node_classes.json"


def test_plan_carries_the_graph_to_the_last_digit(with_graph: Path) -> None:
    """An execution's plan holds graph, mappings and LoRAs, and survives being stored."""
    configs = load_configs(with_graph)
    request = PlanRequest("seen", "de", image_count=1, outputs=("graph",))
    plan = Plan.from_json(build_plan(configs, request).to_json())
    output = plan.outputs[0]
    assert output.workflow is not None
    assert json.loads(output.workflow.graph_json) == NODES
    assert json.loads(output.workflow.input_mappings_json)["steps"] == [
        {"node_id": "sampler", "field": "inputs.steps", "default": 8}
    ]
    assert json.loads(output.workflow.output_mapping_json) == [WORKFLOW["output_mapping"]]
    place = json.loads(output.workflow.lora_place_json)
    assert place == {
        "model": {"node_id": "model", "slot": 0},
        "clip": {"node_id": "model", "slot": 1},
    }
    assert (output.model, output.input_image_count, output.parameters) == ("graph", 1, {"steps": 6})
    assert [(lora.name, lora.strength) for lora in output.loras] == [("ink.safetensors", 0.5)]


def test_graph_is_part_of_every_digest(with_graph: Path) -> None:
    """Another literal in the graph is another generation, another output and another plan."""
    request = PlanRequest("seen", "de", image_count=1, outputs=("graph",))
    before = load_configs(with_graph)
    write_json(with_graph / "workflows/graph.json", {**WORKFLOW, **node("sampler", cfg=8.0)})
    after = load_configs(with_graph)
    assert before.digest != after.digest
    assert before.output_digests["graph"] != after.output_digests["graph"]
    assert build_plan(before, request).digest != build_plan(after, request).digest


def test_planned_graph_cannot_change(with_graph: Path) -> None:
    """Nothing in a plan's graph, however deep, can be altered."""
    configs = load_configs(with_graph)
    graph: Any = configs.workflows["graph"].graph
    with pytest.raises(TypeError):
        graph["sampler"]["inputs"]["steps"] = 1
    assert isinstance(graph["decode"]["inputs"]["samples"], tuple)


def test_output_from_a_picture_needs_one(with_graph: Path) -> None:
    """An output that is made from a picture is refused for a run without one."""
    configs = load_configs(with_graph)
    with pytest.raises(InvalidArgumentError) as caught:
        build_plan(configs, PlanRequest("own", "de", outputs=("plain", "graph")))
    assert caught.value.reason == "WRONG_INPUT_COUNT"
    assert [field for field, _ in caught.value.violations] == ["outputs[1]"]

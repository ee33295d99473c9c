"""The shipped workflows, held against the node classes of a real server and against our rules."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from generation_service.backends.comfyui.catalogue import NodeCatalogue
from generation_service.backends.comfyui.check import check_workflow
from generation_service.backends.comfyui.graph import bind
from generation_service.backends.comfyui.workflow import load_workflow
from orchestrator.configs import load_configs, shipped_configs_dir
from orchestrator.configs.model import MediaType
from tests.fakes.comfyui import ComfyUIServer
from tests.fakes.comfyui.catalogue import load_catalogue
from tests.fakes.openai_images import picture

CONFIGS = load_configs(shipped_configs_dir())
OUTPUTS = [output for output in CONFIGS.output.values() if output.workflow]
KNOWN = [output for output in OUTPUTS if "experimental" not in CONFIGS.tags_of(output)]
NEEDED = {
    "empty_image", "sd15", "sd15_img2img", "sdxl", "sd35_large", "flux1_schnell", "flux1_dev",
    "flux2", "qwen_image", "stable_audio_open", "ace_step", "ltx_video", "wan22_video",
    "hunyuan_3d",
}  # fmt: skip


def required_models() -> dict[str, list[str]]:
    """Every file that a shipped workflow requires, by folder."""
    models: dict[str, list[str]] = {}
    for workflow in CONFIGS.workflows.values():
        for entry in workflow.requires:
            models.setdefault(entry.folder, []).append(entry.file)
    return models


MODELS = required_models()
CATALOGUE = NodeCatalogue(load_catalogue(MODELS))


def chunk(output_id: str) -> dict[str, Any]:
    """The workflow of an output as the generation service reads it."""
    workflow = CONFIGS.workflow_of(CONFIGS.output[output_id])
    assert workflow is not None
    return {
        "workflow": json.loads(workflow.graph_json),
        "input_mappings": json.loads(workflow.input_mappings_json),
        "output_mapping": json.loads(workflow.output_mapping_json),
        "lora_place": json.loads(workflow.lora_place_json or "null"),
    }


def test_every_promised_output_ships() -> None:
    """The outputs that we promise are there, and every workflow has an output."""
    assert {output.id for output in OUTPUTS} >= NEEDED
    assert {output.workflow for output in OUTPUTS} == set(CONFIGS.workflows)


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.id)
def test_workflow_runs_on_the_observed_server(output: Any) -> None:
    """Each graph fits a real server's nodes, inputs, limits and choices, or is experimental."""
    values = {name: spec.default for name, spec in output.parameters.items()}
    bound = bind(load_workflow(chunk(output.id)), {**values, "prompt": "x", "seed": 2**64 - 1})
    report = check_workflow(bound, CATALOGUE)
    assert report.warnings == []
    if output not in KNOWN:
        assert report.missing_classes, "it need not be experimental any more"
    else:
        assert report.faults == []


@pytest.mark.parametrize("output", KNOWN, ids=lambda output: output.id)
def test_every_limit_is_one_that_the_nodes_accept(output: Any) -> None:
    """The least and greatest values and all choices of parameters are fit for the graph."""
    workflow = load_workflow(chunk(output.id))
    for name, spec in output.parameters.items():
        for value in (spec.minimum, spec.maximum, *spec.choices):
            if value is not None:
                report = check_workflow(bind(workflow, {name: value}), CATALOGUE)
                assert report.faults == [], (name, value)


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.id)
def test_seed_and_prompt_reach_the_graph(output: Any) -> None:
    """Seeds arrive exactly, and the prompt is used wherever a model reads one."""
    bound = bind(load_workflow(chunk(output.id)), {"prompt": "A whale", "seed": 2**64 - 1})
    unused = "".join(bound.warnings)
    if output.id != "empty_image":
        assert bound.applied["seed"] == 2**64 - 1
        assert "'seed'" not in unused
    if output.id not in ("empty_image", "hunyuan_3d_img2model"):
        assert "A whale" in json.dumps(bound.graph)
        assert "'prompt'" not in unused


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.id)
def test_output_says_all_that_it_should(output: Any) -> None:
    """Photographs are told, LoRAs have a place, and texts are fitted in German and English."""
    workflow = CONFIGS.workflow_of(output)
    assert workflow is not None
    if output.id in ("empty_image", "hunyuan_3d_img2model"):
        return
    assert output.photographic
    assert workflow.lora_place is not None
    assert output.optimization_instruction is not None
    assert {"de", "en"} <= output.optimization_instruction.texts.keys()
    for name, spec in output.parameters.items():
        assert spec.description is not None, name
        assert {"de", "en"} <= spec.description.texts.keys(), name


async def test_server_takes_every_graph() -> None:
    """A server with these models and a picture accepts each graph whole: no output is left out."""
    async with ComfyUIServer(models=MODELS) as server, httpx.AsyncClient() as client:
        files = {"image": ("seen.png", picture(), "image/png")}
        name = (await client.post(f"{server.url}/upload/image", files=files)).json()["name"]
        for output in KNOWN:
            values = {key: spec.default for key, spec in output.parameters.items()}
            bound = bind(load_workflow(chunk(output.id)), {**values, "input_image": name})
            body = {"prompt": bound.graph_for(output.id), "prompt_id": output.id}
            answer = await client.post(f"{server.url}/prompt", json=body)
            assert (answer.status_code, answer.json().get("node_errors")) == (200, {}), output.id


def test_empty_picture_needs_no_model_and_is_no_photograph() -> None:
    """The picture for checks is made by two nodes that every server has, in the size asked for."""
    bound = bind(load_workflow(chunk("empty_image")), {"width": 72, "height": 64})
    assert {node["class_type"] for node in bound.graph.values()} == {"EmptyImage", "SaveImage"}
    assert (bound.applied["width"], bound.applied["height"]) == (72, 64)
    output = CONFIGS.output["empty_image"]
    assert (output.photographic, output.media_type) == (False, MediaType.IMAGE)

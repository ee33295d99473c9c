"""How an output of the plan travels to the generation service."""

from __future__ import annotations

import json
from dataclasses import replace

from orchestrator.configs import PlanRequest, build_plan, load_configs, shipped_configs_dir
from orchestrator.configs.model import Lora
from orchestrator.converters.generation import media_request_to_proto
from orchestrator.model import MediaFile, SafetyLevel
from orchestrator.ports import MediaRequest


def test_workflow_and_its_inputs_travel_exactly() -> None:
    """Graph, mappings, LoRAs, pictures, typed and free parameters arrive as the plan has them."""
    configs = load_configs(shipped_configs_dir())
    wanted = PlanRequest(
        "picture_and_words",
        "en",
        image_count=1,
        outputs=("ltx_video_img2video",),
        parameters={"frames": "49", "negative_prompt": '"blur"'},
    )
    output = build_plan(configs, wanted).outputs[0]
    message = media_request_to_proto(
        MediaRequest(
            execution_id="e",
            level=SafetyLevel.ADULT,
            loop_iteration=1,
            output_config=output.id,
            backend=output.backend,
            model=output.model,
            media_type=output.media_type,
            prompt="A whale swims.",
            parameters={**output.parameters, "seed": 2**64 - 1, "mood": "calm"},
            item_id="i",
            workflow=output.workflow,
            loras=(Lora(name="ink.safetensors", strength=0.5),),
            input_media=(MediaFile(sha256="a" * 64, mime_type="image/png"),),
        )
    )
    shipped = json.loads((shipped_configs_dir() / "workflows/ltx_video_img2video.json").read_text())
    assert json.loads(message.workflow.graph_json) == shipped["graph"]
    mappings = json.loads(message.workflow.input_mappings_json)
    assert mappings["input_image"] == [shipped["input_mappings"]["input_image"]]
    assert json.loads(message.workflow.output_mapping_json) == [shipped["output_mapping"]]
    assert json.loads(message.workflow.lora_place_json)["model"]["node_id"] == "model"
    assert (message.workflow.id, message.model) == ("ltx_video_img2video", "ltx_video_img2video")
    parameters = message.parameters
    assert (parameters.seed, parameters.frames, parameters.fps) == (2**64 - 1, 49, 24.0)
    assert (parameters.negative_prompt, json.loads(parameters.extra_json)) == (
        "blur",
        {"mood": "calm"},
    )
    assert [(lora.name, lora.strength) for lora in parameters.loras] == [("ink.safetensors", 0.5)]
    assert [media.sha256 for media in parameters.input_media] == ["a" * 64]


def test_a_job_is_named_after_what_is_asked_for() -> None:
    """Whoever takes an execution up asks by the same key, under an item of its own."""
    first = MediaRequest(
        execution_id="e",
        level=SafetyLevel.ADULT,
        loop_iteration=1,
        output_config="embedded_image",
        backend="embedded",
        model="picture-a",
        media_type="image",
        prompt="A whale swims.",
        parameters={"seed": 7, "mood": "calm"},
        item_id="one",
    )
    others = [
        replace(first, execution_id="f"),
        replace(first, loop_iteration=2),
        replace(first, prompt="A whale sings."),
        replace(first, parameters={"seed": 8, "mood": "calm"}),
    ]
    key = media_request_to_proto(first).idempotency_key
    heir = media_request_to_proto(replace(first, item_id="two"))
    assert (heir.idempotency_key, heir.item_id) == (key, "two")
    assert len({key, *(media_request_to_proto(other).idempotency_key for other in others)}) == 5

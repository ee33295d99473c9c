"""A folder in the predecessor's format, written after the description of it: every key and kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Json = dict[str, Any]

GRAPH: Json = {
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "paint.safetensors"}},
    "5": {
        "class_type": "EmptyLatentImage",
        "inputs": {"width": 512, "height": 512, "batch_size": 1},
    },
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["4", 1]}},
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["4", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
            "seed": 1,
            "steps": 20,
            "cfg": 7,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1.0,
        },
    },
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}},
}

OUTPUT_CHUNK: Json = {
    "name": "output_image_paint",
    "type": "output_chunk",
    "media_type": "image",
    "workflow": GRAPH,
    "input_mappings": {
        "prompt": {"node_id": "6", "field": "inputs.text", "source": "{{PREVIOUS_OUTPUT}}"},
        "negative_prompt": {"node_id": 7, "field": "inputs.text", "default": "blurry"},
        "width": [{"node_id": "5", "field": "inputs.width", "default": 768}],
        "height": {"node_id": "5", "field": "inputs.height"},
        "steps": {"node_id": "3", "field": "inputs.steps"},
        "cfg": {"node_id": "3", "field": "inputs.cfg"},
        "seed": {"node_id": "3", "field": "inputs.seed", "default": "random"},
    },
    "output_mapping": {"node_id": "9", "output_type": "image", "format": "png"},
    "meta": {"optimization_instruction": "Write short phrases with commas."},
}

FILES: Mapping[str, Any] = {
    "chunks/manipulate.json": {
        "name": "manipulate",
        "template": "{{TASK_INSTRUCTION}}\n\n{{CONTEXT}}\n\nText: {{INPUT_TEXT}}\n{{FLAVOUR}}",
        "model": "STAGE2_INTERCEPTION_MODEL",
        "parameters": {"temperature": 0.7, "top_p": 0.9, "max_tokens": 512, "keep_alive": "10m"},
    },
    "chunks/code.json": {
        "name": "code",
        "type": "processing_chunk",
        "template": {"system": "You write p5.js.", "prompt": "{{PREVIOUS_OUTPUT}}"},
        "model": "CODING_MODEL",
    },
    "chunks/output_any.json": {"name": "output_any", "type": "proxy_chunk"},
    "chunks/output_image_paint.json": OUTPUT_CHUNK,
    "chunks/output_image_service.json": {
        "name": "output_image_service",
        "type": "api_output_chunk",
        "media_type": "image",
        "api_config": {
            "endpoint": "https://x.example/v1/images/generations",
            "model": "gpt-image-1",
        },
    },
    "pipelines/text_interception.json": {
        "name": "text_interception",
        "pipeline_type": "text",
        "pipeline_stage": "2",
        "chunks": ["manipulate"],
        "requires_interception_prompt": True,
        "input_requirements": {"texts": 1, "images": 0},
        "defaults": {"FLAVOUR": "sweet", "Temperature": 0.3},
    },
    "pipelines/repeated.json": {
        "name": "repeated",
        "control_flow": "recursive",
        "chunks": ["manipulate"],
        "input_requirements": {"texts": 1},
        "meta": {"max_iterations": 4},
    },
    "pipelines/own_rule.json": {
        "name": "own_rule",
        "chunks": ["manipulate"],
        "input_requirements": {"texts": 1, "context_text": True},
    },
    "pipelines/two_pictures.json": {
        "name": "two_pictures",
        "skip_stage2": True,
        "chunks": [],
        "input_requirements": {"texts": 2, "images": 2, "images_min": 1, "split_text": True},
    },
    "pipelines/media.json": {"name": "media", "chunks": ["output_any"]},
    "configs/interception/dadaist.json": {
        "pipeline": "text_interception",
        "name": {"en": "Dadaist", "de": "Dadaistisch"},
        "description": {"en": "Nonsense with a method.", "de": "Unsinn mit Methode."},
        "context": {"en": "Cut the words apart.\n\nMix them.", "de": "Zerschneide.\n\nMische."},
        "parameters": {"TEMPERATURE": 0.9, "flavour": "sour"},
        "media_preferences": {
            "default_output": "image",
            "output_configs": ["paint"],
            "supported_types": ["image"],
        },
        "meta": {"stage": "interception", "owner": "system"},
        "properties": ["chaotic"],
        "display": {"icon": "x", "difficulty": 2},
        "tags": ["art"],
        "audience": {"min_age": 10},
        "model_preferences": {"primary": "x"},
    },
    "configs/interception/telephone.json": {
        "workflow_type": "repeated",
        "context": "Say it otherwise.",
        "parameters": {"iterations": 3},
        "media_preferences": {"default_output": "text"},
    },
    "configs/interception/through.json": {
        "pipeline": "text_interception",
        "instruction_type": "passthrough",
        "context": "Nothing.",
    },
    "configs/interception/mine.json": {"pipeline": "own_rule", "context": None},
    "configs/interception/styled.json": {
        "pipeline": "text_interception",
        "context": "Paint it.",
        "media_preferences": {"output_configs": ["paint"]},
        "meta": {"loras": [{"name": "ink.safetensors", "strength": 0.6}]},
    },
    "configs/interception/pair.json": {"pipeline": "two_pictures", "context": "Compare."},
    "configs/interception/own_chunks.json": {
        "pipeline": "media",
        "chunks": ["manipulate"],
        "context": "Short.",
        "instruction_type": "artistic_transformation",
    },
    "configs/output/paint.json": {
        "pipeline": "media",
        "name": {"en": "Paint"},
        "parameters": {"OUTPUT_CHUNK": "output_image_paint", "WIDTH": 1024, "steps": 30},
        "media_preferences": {"default_output": "image"},
        "meta": {"stage": "output"},
    },
    "configs/output/service.json": {
        "pipeline": "media",
        "parameters": {"OUTPUT_CHUNK": "output_image_service"},
    },
    "configs/output/sketch_code.json": {
        "pipeline": "media",
        "parameters": {"output_chunk": "code"},
    },
    "configs/user_configs/ada/wild.json": {"pipeline": "text_interception", "context": "Wild."},
    "configs/pre_interception/named.json": {
        "name": "a_named_one",
        "pipeline": "text_interception",
        "context": "By name.",
    },
}


def write(folder: Path, files: Mapping[str, Any] = FILES) -> Path:
    """Write files: objects as JSON, texts as they are."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
    return folder

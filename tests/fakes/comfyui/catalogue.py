"""The node classes of the stand-in: those of a real server, and a few that only probe.

`object_info.json` holds what a real server said (help texts removed, one class per line); the
model lists in it are replaced by those that the test wants the worker to have.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Json = dict[str, Any]

FOLDERS = [
    "checkpoints",
    "configs",
    "loras",
    "vae",
    "text_encoders",
    "diffusion_models",
    "clip_vision",
    "style_models",
    "embeddings",
    "diffusers",
    "vae_approx",
    "controlnet",
    "gligen",
    "upscale_models",
    "custom_nodes",
    "hypernetworks",
    "photomaker",
    "classifiers",
    "model_patches",
    "audio_encoders",
]
FOLDER_OF_INPUT = {
    "ckpt_name": "checkpoints",
    "lora_name": "loras",
    "vae_name": "vae",
    "unet_name": "diffusion_models",
    "clip_name": "text_encoders",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "clip_name3": "text_encoders",
    "clip_name4": "text_encoders",
    "control_net_name": "controlnet",
    "style_model_name": "style_models",
    "gligen_name": "gligen",
    "hypernetwork_name": "hypernetworks",
    "audio_encoder_name": "audio_encoders",
    "photomaker_model_name": "photomaker",
}
FOLDER_OF_CLASS = {"CLIPVisionLoader": "clip_vision", "UpscaleModelLoader": "upscale_models"}
DEFAULT_MODELS: Mapping[str, Sequence[str]] = {
    "checkpoints": ("sd15_random.safetensors", "sd15_tiny.safetensors"),
}
UPLOAD_INPUTS = {  # their files are looked up when the prompt is validated
    "LoadImage": "image",
    "LoadImageMask": "image",
    "LoadAudio": "audio",
    "LoadVideo": "file",
}


def load_catalogue(models: Mapping[str, Sequence[str]] | None = None) -> dict[str, Json]:
    """Return `/object_info` of a worker that has these models.

    Args:
        models: File names by folder ("checkpoints", "loras" …); None: two checkpoints.
    """
    catalogue: dict[str, Json] = json.loads(
        (Path(__file__).parent / "object_info.json").read_text(encoding="ascii")
    )
    catalogue.update(copy.deepcopy(PROBES))
    for name, entry in catalogue.items():
        for inputs in (entry["input"].get("required", {}), entry["input"].get("optional", {})):
            for input_name, specification in inputs.items():
                _put_models(name, input_name, specification, models or DEFAULT_MODELS)
    return catalogue


def _put_models(
    class_type: str, input_name: str, specification: list[Any], models: Mapping[str, Sequence[str]]
) -> None:
    is_loader = "Loader" in class_type or input_name in ("ckpt_name", "lora_name")
    folder = FOLDER_OF_CLASS.get(class_type) or FOLDER_OF_INPUT.get(input_name)
    if folder is None or not is_loader:
        return
    if isinstance(specification[0], list):
        own = [each for each in specification[0] if "." not in each]  # such as "pixel_space"
        specification[0] = list(models.get(folder, ())) + own
    elif specification[0] == "COMBO":
        specification[1]["options"] = list(models.get(folder, ()))


def _probe(required: Json, output: Sequence[str], *, output_node: bool = False) -> Json:
    return {
        "input": {"required": required},
        "input_order": {"required": list(required)},
        "output": list(output),
        "output_is_list": [False] * len(output),
        "output_name": list(output),
        "description": "",
        "python_module": "custom_nodes.probe_nodes",
        "category": "probe",
        "output_node": output_node,
    }


def _int(default: int) -> list[Any]:
    return ["INT", {"default": default, "min": 0, "max": 2**31}]


_IMAGE = {"image": ["IMAGE"]}
PROBES: dict[str, Json] = {
    "ProbeTick": _probe(
        _IMAGE | {"tag": _int(0), "ticks": _int(10), "tick_ms": _int(100)}, ["IMAGE"]
    ),
    "ProbeSleep": _probe(
        _IMAGE | {"tag": _int(0), "seconds": ["FLOAT", {"default": 1.0, "min": 0.0}]}, ["IMAGE"]
    ),
    "ProbeFail": _probe(
        _IMAGE
        | {
            "kind": [["value", "oom", "nonascii", "exit", "keyboard"]],
            "tag": _int(0),
        },
        ["IMAGE"],
    ),
    "ProbeBlock": _probe(
        _IMAGE | {"tag": _int(0), "message": ["STRING", {"default": ""}]}, ["IMAGE"]
    ),
    "ProbeCycle": _probe(_IMAGE | {"tag": _int(0)}, ["IMAGE"]),
    "ProbeText": _probe(_IMAGE | {"text": ["STRING", {"default": ""}]}, ["IMAGE"]),
    "ProbeBadUI": _probe(
        _IMAGE | {"kind": [["nan", "tuple", "bytes"]], "tag": _int(0)}, [], output_node=True
    ),
}
for _name, _entry in PROBES.items():
    _entry["name"] = _entry["display_name"] = _name

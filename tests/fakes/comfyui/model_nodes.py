"""Timed stand-ins for what needs models, and for every other class in `/object_info`.

They take as long as the switches say, report progress as a sampler does, and give values of the
right types; a decoded picture has the size that was asked for.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tests.fakes.comfyui import containers, media
from tests.fakes.comfyui.node import (
    DEFAULT_SIDE,
    MOST_FRAMES,
    Context,
    Latent,
    Pictures,
    Result,
    Sound,
    Token,
    option_of,
    pause,
    pictures_of,
    plain,
)
from tests.fakes.comfyui.picture_nodes import place, save_pictures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.comfyui.node import Node

    Json = dict[str, Any]

DEFAULT_STEPS = 4
PREVIEW_SIDE = 512  # pixels, at most


def _color(inputs: Json) -> int:
    """Return a colour that differs with the inputs, so that another seed is another picture."""
    text = json.dumps(inputs, sort_keys=True, default=repr)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:3], "big")


def _first(inputs: Json, kind: type) -> Any:
    return next((value for value in inputs.values() if isinstance(value, kind)), None)


async def _sampler(context: Context, inputs: Json) -> Result:
    latent = _first(inputs, Latent) or Latent(DEFAULT_SIDE, DEFAULT_SIDE, 1)
    latent = Latent(latent.width, latent.height, latent.batch, _color(inputs))
    steps = inputs.get("steps", DEFAULT_STEPS)
    preview = None
    if context.switches.preview_method != "none":
        scale = min(1.0, PREVIEW_SIDE / max(latent.width, latent.height))
        side = int(latent.width * scale), int(latent.height * scale)
        preview = ("jpeg", media.jpeg(plain(*side, latent.color), context.prompt_id))
    for step in range(1, steps + 1):
        await pause(context.switches.step_seconds)
        await context.progress(step, steps, preview)
    slots = [latent if slot == "LATENT" else Token(slot) for slot in context.entry["output"]]
    return Result(tuple(slots))


async def _decode(context: Context, inputs: Json) -> Result:
    latent = _first(inputs, Latent) or Latent(DEFAULT_SIDE, DEFAULT_SIDE, 1)
    if "AUDIO" in context.entry["output"]:
        return Result((Sound(1.0),))
    frame = plain(latent.width, latent.height, latent.color)
    return Result((Pictures((frame,) * latent.batch),))


async def _save_sound(context: Context, inputs: Json) -> Result:
    sound = inputs["audio"]
    seconds = sound.seconds if isinstance(sound, Sound) else 1.0
    makers: dict[str, tuple[str, Callable[[str, float], bytes]]] = {
        "SaveAudioMP3": ("mp3", media.mp3),
        "SaveAudioOpus": ("opus", media.opus),
    }
    suffix, make = makers.get(context.class_type, ("flac", media.flac))
    is_preview = context.class_type == "PreviewAudio"
    prefix = context.folders.temp_prefix() if is_preview else inputs["filename_prefix"]
    where = place(context, prefix, "temp" if is_preview else "output")
    path, name = where.file(0, suffix)
    path.write_bytes(make(context.prompt_id, seconds))
    return Result(ui={"audio": [name]})


async def _save_video(context: Context, inputs: Json) -> Result:
    pictures = pictures_of(_first(inputs, Pictures))
    option_of(context.entry, inputs, "codec")
    is_webm = context.class_type == "SaveWEBM"
    where = place(context, inputs["filename_prefix"], "output", pictures.size)
    path, name = where.file(0, "webm" if is_webm else "mp4")
    make = containers.webm if is_webm else containers.mp4
    fps = float(inputs.get("fps", pictures.fps))
    path.write_bytes(make(pictures.frames, context.prompt_id, fps))
    return Result(ui={"images": [name], "animated": [True]})


async def _create_video(context: Context, inputs: Json) -> Result:
    pictures = pictures_of(inputs["images"])
    return Result((Pictures(pictures.frames[:MOST_FRAMES], float(inputs.get("fps", 8))),))


async def _empty_sound(context: Context, inputs: Json) -> Result:
    return Result((Sound(float(inputs.get("duration", 1.0))),))


async def _preview_any(context: Context, inputs: Json) -> Result:
    source = inputs["source"]
    if not isinstance(source, str):
        is_plain = isinstance(source, int | float | bool | list | dict)
        source = json.dumps(source) if is_plain else str(source)
    return Result(ui={"text": [source]})


async def _save_file(context: Context, inputs: Json) -> Result:
    """Write the one file of a class whose output is neither picture, sound nor video."""
    suffix, key, content = {
        "SaveGLB": ("glb", "3d", media.glb(context.prompt_id)),
        "SaveSVGNode": ("svg", "images", media.svg(context.prompt_id)),
        "SaveLatent": ("latent", "latents", context.prompt_id.encode()),
    }[context.class_type]
    where = place(context, inputs["filename_prefix"], "output")
    path, name = where.file(0, suffix)
    path.write_bytes(content)
    return Result(ui={key: [name]})


async def _preview_3d(context: Context, inputs: Json) -> Result:
    return Result(ui={"result": [inputs["model_file"], None, None]})


def _batch_of(inputs: Json) -> int:
    frames = inputs.get("length", inputs.get("frames_number"))
    batch = inputs.get("batch_size", 1)
    return int(min(MOST_FRAMES, frames) if isinstance(frames, int) else batch)


def _value(slot: Any, inputs: Json) -> Any:
    """Return a value of a slot's type, passing on what came in where that is plausible."""
    kinds = {"IMAGE": Pictures, "LATENT": Latent, "AUDIO": Sound, "VIDEO": Pictures}
    if slot in kinds:
        given = _first(inputs, kinds[slot])
        has_size = isinstance(inputs.get("width"), int) and isinstance(inputs.get("height"), int)
        if given is not None and not has_size:
            return given
        width = inputs["width"] if has_size else DEFAULT_SIDE
        height = inputs["height"] if has_size else DEFAULT_SIDE
        if slot == "LATENT":
            source = _first(inputs, Pictures)
            if source is not None and not has_size:
                width, height = source.size
            return Latent(width, height, _batch_of(inputs), _color(inputs))
        if slot == "AUDIO":
            return Sound(float(inputs.get("seconds", 1.0)))
        return Pictures((plain(width, height, _color(inputs)),) * _batch_of(inputs))
    converters = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
    if slot in converters:
        given = inputs.get("value", inputs.get("string", inputs.get("text", 0)))
        return converters[slot](given if isinstance(given, int | float | str) else 0)
    return Token(slot)


async def any_node(context: Context, inputs: Json) -> Result:
    """Stand in for a class that has no own function, by what `/object_info` says about it."""
    name, outputs = context.class_type, context.entry["output"]
    if "Loader" in name:
        for value in inputs.values():
            if isinstance(value, str) and PurePosixPath(value).suffix:
                await context.load(value)
    if "Sampler" in name and "LATENT" in outputs:
        return await _sampler(context, inputs)
    if "Decode" in name and not context.entry["output_node"]:
        return await _decode(context, inputs)
    slots = tuple(_value(slot, inputs) for slot in outputs)
    pictures = _first(inputs, Pictures)
    if not context.entry["output_node"] or pictures is None:
        return Result(slots)
    prefix = inputs.get("filename_prefix")
    kind = "output" if prefix else "temp"
    ui = await save_pictures(context, pictures, prefix or context.folders.temp_prefix(), kind)
    return Result(slots, ui)


MODEL_NODES: dict[str, Node] = {
    "EmptyAudio": _empty_sound,
    "SaveAudio": _save_sound,
    "SaveAudioMP3": _save_sound,
    "SaveAudioOpus": _save_sound,
    "PreviewAudio": _save_sound,
    "CreateVideo": _create_video,
    "SaveVideo": _save_video,
    "SaveWEBM": _save_video,
    "PreviewAny": _preview_any,
    "SaveGLB": _save_file,
    "SaveSVGNode": _save_file,
    "SaveLatent": _save_file,
    "Preview3D": _preview_3d,
}

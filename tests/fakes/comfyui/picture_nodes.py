"""Nodes that really make, change, load and save pictures."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from tests.fakes.comfyui import media
from tests.fakes.comfyui.folders import OutsideError
from tests.fakes.comfyui.node import (
    Context,
    NodeError,
    Pictures,
    Result,
    Token,
    pictures_of,
    plain,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.comfyui.folders import SavePlace
    from tests.fakes.comfyui.node import Node

    Json = dict[str, Any]

IN_A_THREAD_FROM = 300_000  # pixels; smaller ones take less than a change of threads costs
FILTERS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def texts_of(context: Context) -> dict[str, str]:
    """Return the text chunks that ComfyUI writes: the prompt and the client's own."""
    if not context.switches.metadata:
        return {}
    texts = {"prompt": json.dumps(context.graph)}
    for key, value in (context.extra_pnginfo or {}).items():
        texts[key] = json.dumps(value)
    texts["stand_in_prompt_id"] = context.prompt_id
    return texts


def place(context: Context, prefix: str, kind: str, size: tuple[int, int] = (0, 0)) -> SavePlace:
    """Find where files go.

    Raises:
        NodeError: Outside of the folder.
    """
    try:
        return context.folders.save_place(prefix, kind, *size)
    except OutsideError as exc:
        raise NodeError("Exception", str(exc)) from exc


async def worked(pixel_count: int, work: Callable[[], bytes]) -> bytes:
    """Do the work; a large picture must not hold up the server."""
    return work() if pixel_count < IN_A_THREAD_FROM else await asyncio.to_thread(work)


async def save_pictures(
    context: Context, pictures: Pictures, prefix: str, kind: str, level: int = 4
) -> Json:
    """Write a PNG per frame and return the ui."""
    width, height = pictures.size
    where = place(context, prefix, kind, pictures.size)
    texts = texts_of(context)
    images = []
    for index, frame in enumerate(pictures.frames):
        content = await worked(
            width * height,
            lambda frame=frame: media.png(frame, context.prompt_id, texts, level),  # type: ignore[misc]
        )
        path, name = where.file(index, "png")
        path.write_bytes(content)
        images.append(name)
    return {"images": images}


async def _empty_image(context: Context, inputs: Json) -> Result:
    frame = plain(inputs["width"], inputs["height"], inputs.get("color", 0))
    return Result((Pictures((frame,) * inputs.get("batch_size", 1)),))


async def _save_image(context: Context, inputs: Json) -> Result:
    pictures = pictures_of(inputs["images"])
    prefix = inputs.get("filename_prefix", "ComfyUI")
    return Result(ui=await save_pictures(context, pictures, prefix, "output"))


async def _preview_image(context: Context, inputs: Json) -> Result:
    pictures = pictures_of(inputs["images"])
    prefix = context.folders.temp_prefix()
    return Result(ui=await save_pictures(context, pictures, prefix, "temp", level=1))


async def _save_image_websocket(context: Context, inputs: Json) -> Result:
    frames = pictures_of(inputs["images"]).frames
    for index, frame in enumerate(frames):
        content = await worked(
            frame.size,
            lambda frame=frame: media.png(frame, context.prompt_id, {}),  # type: ignore[misc]
        )
        await context.progress(index, len(frames), ("png", content))
    return Result()


async def _save_animated(context: Context, inputs: Json) -> Result:
    pictures = pictures_of(inputs["images"])
    where = place(context, inputs["filename_prefix"], "output", pictures.size)
    suffix = "webp" if context.class_type == "SaveAnimatedWEBP" else "png"
    path, name = where.file(0, suffix)
    fps = float(inputs.get("fps", 6))
    path.write_bytes(media.animated(pictures.frames, context.prompt_id, fps, suffix.upper()))
    animated = suffix == "png" or len(pictures.frames) != 1
    return Result(ui={"images": [name], "animated": [animated]})


async def _load_image(context: Context, inputs: Json) -> Result:
    path = context.folders.file_of(str(inputs["image"]))
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except OSError as exc:
        if path.exists():
            raise NodeError("OSError", "Truncated File Read") from exc
        raise NodeError("FileNotFoundError", str(exc)) from exc
    return Result((Pictures((np.asarray(upright, np.uint8),)), Token("MASK")))


async def _scale(context: Context, inputs: Json) -> Result:
    pictures = pictures_of(inputs["image"])
    old_width, old_height = pictures.size
    width, height = inputs["width"], inputs["height"]
    if width == 0 or height == 0:
        width = width or max(1, round(old_width * height / old_height))
        height = height or max(1, round(old_height * width / old_width))
    crop = (0, 0)
    if inputs["crop"] == "center":
        crop = _crop(old_width, old_height, width / height)
    if 2 * crop[0] >= old_width or 2 * crop[1] >= old_height:
        inner = f"(H: {old_height - 2 * crop[1]}, W: {old_width - 2 * crop[0]})"
        raise NodeError(
            "RuntimeError",
            f"Input and output sizes should be greater than 0, but got input {inner} "
            f"output (H: {height}, W: {width})",
        )
    box = (crop[0], crop[1], old_width - crop[0], old_height - crop[1])
    how = FILTERS[inputs["upscale_method"]]
    frames = [Image.fromarray(each).resize((width, height), how, box) for each in pictures.frames]
    return Result((Pictures(tuple(np.asarray(each) for each in frames)),))


def _crop(width: int, height: int, ratio: float) -> tuple[int, int]:
    """Return how much to cut off on the left and at the top, as the real server rounds it."""
    if width / height > ratio:
        return round((width - height * ratio) / 2), 0
    return 0, round((height - width / ratio) / 2)


async def _invert(context: Context, inputs: Json) -> Result:
    pictures = pictures_of(inputs["image"])
    return Result((Pictures(tuple(255 - each for each in pictures.frames)),))


async def _batch(context: Context, inputs: Json) -> Result:
    first, second = pictures_of(inputs["image1"]), pictures_of(inputs["image2"])
    return Result((Pictures(first.frames + second.frames),))


PICTURE_NODES: dict[str, Node] = {
    "EmptyImage": _empty_image,
    "SaveImage": _save_image,
    "PreviewImage": _preview_image,
    "SaveImageWebsocket": _save_image_websocket,
    "SaveAnimatedWEBP": _save_animated,
    "SaveAnimatedPNG": _save_animated,
    "LoadImage": _load_image,
    "ImageScale": _scale,
    "ImageInvert": _invert,
    "ImageBatch": _batch,
}

"""What the nodes of the stand-in make: real files that tell whose they are."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.fakes.comfyui import ComfyUIServer, prompt_id_of
from tests.unit.fakes.bare_client import BareClient, end_of, picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Json = dict[str, Any]


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    """A stand-in without faults."""
    models = {"checkpoints": ["sd.safetensors"], "vae": ["audio.safetensors"]}
    async with ComfyUIServer(models=models) as server:
        yield server


@pytest.mark.parametrize("size", [(72, 64), (8, 8), (640, 480), (513, 40)])
@pytest.mark.parametrize("color", [0, 0xFFFFFF, 0x0000FF])
async def test_picture_has_size_and_prompt_id(
    comfy: ComfyUIServer, size: tuple[int, int], color: int
) -> None:
    """A picture of any size and colour names its prompt by pixels alone."""
    async with BareClient(comfy.url) as client:
        entry = await client.run(picture(color, width=size[0], height=size[1]))
        (content,) = await client.files(entry)

    with Image.open(io.BytesIO(content)) as made:
        assert made.size == size
        bare = io.BytesIO()
        made.convert("RGB").save(bare, "BMP")
    assert prompt_id_of(content) == prompt_id_of(bare.getvalue()) == entry["prompt"][1]


async def test_png_carries_prompt_and_workflow(comfy: ComfyUIServer) -> None:
    """The text chunks of a PNG are those of ComfyUI."""
    graph = picture()
    async with BareClient(comfy.url) as client:
        extra = {"extra_pnginfo": {"workflow": {"hello": "world"}}}
        entry = await client.run(graph, extra_data=extra)
        (content,) = await client.files(entry)

    with Image.open(io.BytesIO(content)) as made:
        assert isinstance(made, Image.Image)
        assert json.loads(made.info["prompt"]) == graph
        assert json.loads(made.info["workflow"]) == {"hello": "world"}


async def test_batch_gives_one_picture_each(comfy: ComfyUIServer) -> None:
    """A batch of three is three files."""
    async with BareClient(comfy.url) as client:
        entry = await client.run(picture(batch=3))
        contents = await client.files(entry)

    assert [prompt_id_of(each) for each in contents] == [entry["prompt"][1]] * 3


def node(class_type: str, **inputs: Any) -> Json:
    """Return a node."""
    return {"class_type": class_type, "inputs": inputs}


SOUND = {"1": node("EmptyAudio", duration=0.2, sample_rate=44100, channels=2)}
FRAMES = {"1": node("EmptyImage", width=64, height=64, batch_size=4, color=99)}
LATENT = {"1": node("EmptyLatentHunyuan3Dv2", resolution=3072, batch_size=1)}
KINDS: dict[str, tuple[Json, bytes]] = {
    "flac": (SOUND | {"2": node("SaveAudio", audio=["1", 0], filename_prefix="a")}, b"fLaC"),
    "mp3": (
        SOUND | {"2": node("SaveAudioMP3", audio=["1", 0], filename_prefix="a", quality="V0")},
        b"ID3",
    ),
    "opus": (
        SOUND | {"2": node("SaveAudioOpus", audio=["1", 0], filename_prefix="a", quality="128k")},
        b"OggS",
    ),
    "webp": (
        FRAMES
        | {
            "2": node(
                "SaveAnimatedWEBP",
                images=["1", 0],
                filename_prefix="a",
                fps=6,
                lossless=True,
                quality=80,
                method="default",
            )
        },
        b"RIFF",
    ),
    "mp4": (
        FRAMES
        | {
            "3": node("CreateVideo", images=["1", 0], fps=8),
            "2": node(
                "SaveVideo", video=["3", 0], filename_prefix="v", format="auto", codec="auto"
            ),
        },
        b"\x00\x00\x00\x20ftypisom",
    ),
    "webm": (
        FRAMES
        | {"2": node("SaveWEBM", images=["1", 0], filename_prefix="v", codec="vp9", fps=8, crf=32)},
        b"\x1a\x45\xdf\xa3",
    ),
    "glb": (
        LATENT
        | {
            "3": node("VAEDecodeHunyuan3D", samples=["1", 0], vae=["4", 0], num_chunks=8000,
                      octree_resolution=256),
            "4": node("VAELoader", vae_name="audio.safetensors"),
            "5": node("VoxelToMeshBasic", voxel=["3", 0], threshold=0.6),
            "2": node("SaveGLB", mesh=["5", 0], filename_prefix="mesh/m"),
        },
        b"glTF",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_other_media_are_real_files_with_the_prompt_id(
    comfy: ComfyUIServer, kind: str
) -> None:
    """Sound, video and 3D have the right beginning and name their prompt."""
    graph, beginning = KINDS[kind]
    async with BareClient(comfy.url) as client:
        entry = await client.run(graph)
        assert end_of(entry) == "execution_success", entry
        (content,) = await client.files(entry)

    assert content.startswith(beginning)
    assert prompt_id_of(content) == entry["prompt"][1]


async def test_text_output_is_data(comfy: ComfyUIServer) -> None:
    """A text node has its text in the outputs."""
    graph = {
        "1": node("PrimitiveString", value="hello"),
        "2": node("PreviewAny", source=["1", 0]),
    }
    async with BareClient(comfy.url) as client:
        entry = await client.run(graph)

    assert entry["outputs"] == {"2": {"text": ["hello"]}}


def text_to_picture(seed: int, checkpoint: str = "sd.safetensors") -> Json:
    """Return the default workflow of ComfyUI."""
    return {
        "4": node("CheckpointLoaderSimple", ckpt_name=checkpoint),
        "5": node("EmptyLatentImage", width=96, height=80, batch_size=1),
        "6": node("CLIPTextEncode", text="a cat", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
        "3": node(
            "KSampler",
            seed=seed,
            steps=2,
            cfg=8.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
            model=["4", 0],
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
        ),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", images=["8", 0], filename_prefix=f"seed{seed}"),
    }


async def test_sampled_picture_has_the_size_of_its_latent(comfy: ComfyUIServer) -> None:
    """A model workflow ends with a picture of the size that was asked for; a seed changes it."""
    async with BareClient(comfy.url) as client:
        first = await client.files(await client.run(text_to_picture(1)))
        second = await client.files(await client.run(text_to_picture(2)))

    with Image.open(io.BytesIO(first[0])) as one, Image.open(io.BytesIO(second[0])) as two:
        assert one.size == (96, 80)
        assert one.getpixel((95, 79)) != two.getpixel((95, 79))


async def test_every_class_without_files_can_be_run(comfy: ComfyUIServer) -> None:
    """A class that nothing here knows gives values of the types that /object_info names."""
    async with BareClient(comfy.url) as client:
        graph = {
            "1": node("EmptySD3LatentImage", width=64, height=48, batch_size=1),
            "2": node("LatentUpscale", samples=["1", 0], upscale_method="bilinear", width=128,
                      height=96, crop="disabled"),
            "3": node("VAEDecode", samples=["2", 0], vae=["4", 0]),
            "4": node("VAELoader", vae_name="audio.safetensors"),
            "5": node("ImageBlur", image=["3", 0], blur_radius=1, sigma=1.0),
            "6": node("PreviewImage", images=["5", 0]),
        }  # fmt: skip
        entry = await client.run(graph)
        (content,) = await client.files(entry)

    with Image.open(io.BytesIO(content)) as made:
        assert made.size == (128, 96)
    assert prompt_id_of(content) == entry["prompt"][1]


async def test_missing_model_is_refused(comfy: ComfyUIServer) -> None:
    """The worker has exactly the models that the test gave it."""
    async with BareClient(comfy.url) as client:
        answer = await client.post(text_to_picture(1, checkpoint="other.safetensors"))

    (error,) = answer["node_errors"]["4"]["errors"]
    assert error["type"] == "value_not_in_list"
    assert error["details"] == "ckpt_name: 'other.safetensors' not in ['sd.safetensors']"

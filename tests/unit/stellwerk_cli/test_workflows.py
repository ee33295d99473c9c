"""`stellwerk workflows check`, alone and against the stand-in for a ComfyUI server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from orchestrator.configs import shipped_configs_dir
from stellwerk_cli.main import app
from tests.fakes.comfyui import ComfyUIServer
from tests.support import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

MODELS = {"checkpoints": ["v1-5-pruned-emaonly-fp16.safetensors"]}


async def check(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["workflows", "check", *arguments])


async def test_shipped_workflows_are_sound_by_themselves() -> None:
    """Without a worker, the shipped graphs have no fault."""
    result = await check()
    assert (result.exit_code, "no faults" in result.output) == (0, True)


async def test_worker_that_has_everything_is_ready() -> None:
    """What a worker has nodes and models for is ready, and the code is 0."""
    async with ComfyUIServer(models=MODELS) as server:
        result = await check("--worker", server.url, "empty_image", "sd15")
    assert result.exit_code == 0
    assert [line.split() for line in result.output.splitlines()] == [
        ["empty_image", "ready"],
        ["sd15", "ready"],
    ]


async def test_missing_model_is_told_with_its_place_and_source() -> None:
    """A model that the worker lacks is a fault with file, line, input, and where to get it."""
    async with ComfyUIServer(models=MODELS) as server:
        result = await check("--worker", server.url, "sdxl")
    assert result.exit_code == 1
    assert "workflows/sdxl.json:" in result.output
    assert "graph.model.inputs.ckpt_name" in result.output
    assert "stable-diffusion-xl-base-1.0, put it into models/checkpoints" in result.output


async def test_missing_node_and_experiment_are_shown_as_json() -> None:
    """With --json each output is one line; newer nodes are named and the mark is there."""
    async with ComfyUIServer(models=MODELS) as server:
        result = await check("--worker", server.url, "flux2", "--json")
    report = json.loads(result.output)
    assert (report["ready"], report["experimental"]) == (False, True)
    assert report["missing_classes"] == ["EmptyFlux2LatentImage", "Flux2Scheduler"]
    assert "vae/flux2-vae.safetensors" in report["missing_models"]


async def test_missing_lora_is_told(tmp_path: Path) -> None:
    """A LoRA that an output asks for and the worker lacks is a fault."""
    folder = _folder_with_lora(tmp_path)
    async with ComfyUIServer(models=MODELS) as server:
        result = await check("--worker", server.url, "--configs", str(folder), "inked")
    assert result.exit_code == 1
    assert "'ink.safetensors'" in result.output


async def test_faulty_folder_is_told_before_a_worker_is_asked(tmp_path: Path) -> None:
    """Faults of the files come first, as `configs check` tells them."""
    folder = _folder_with_lora(tmp_path)
    (folder / "workflows" / "sd15.json").write_text('{"graph": {}}', encoding="utf-8")
    result = await check("--configs", str(folder), "--worker", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "workflows/sd15.json:1: input_mappings: The key" in result.output


async def test_silent_worker_is_unreachable() -> None:
    """A worker that does not answer is code 6."""
    result = await check("--worker", f"http://127.0.0.1:{free_port()}")
    assert result.exit_code == 6


async def test_unknown_id_is_wrong_usage() -> None:
    """An id that nothing has is code 2."""
    assert (await check("sd16")).exit_code == 2


def _folder_with_lora(tmp_path: Path) -> Path:
    shipped = shipped_configs_dir()
    for name in ("chunks/translation", "chunks/optimization", "workflows/sd15"):
        target = tmp_path / f"{name}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((shipped / f"{name}.json").read_bytes())
    output = {
        "name": "Inked",
        "description": "In ink.",
        "media_type": "image",
        "backend": "comfyui",
        "workflow": "sd15",
        "loras": [{"name": "ink.safetensors", "strength": 0.7}],
    }
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "inked.json").write_text(json.dumps(output), encoding="utf-8")
    return tmp_path

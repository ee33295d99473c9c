"""Jobs for ComfyUI through the front door: a real server, stand-in workers, a real journal."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.fakes.comfyui import ComfyUIServer
from tests.integration.comfyui_jobs import (
    comfy_order,
    media_factory,
)
from tests.integration.generation import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.generation import Stub


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    """A stand-in ComfyUI server."""
    async with ComfyUIServer() as server:
        yield server


@pytest.fixture
async def stub(tmp_path: Path, comfy: ComfyUIServer) -> AsyncIterator[Stub]:
    """A client of a service before one stand-in."""
    async with media_factory(tmp_path, [comfy.url]) as stub:
        yield stub


async def test_a_picture_of_a_worker_is_stored_with_the_facts_of_its_run(
    stub: Stub, tmp_path: Path
) -> None:
    """The whole way of a ComfyUI job; the file has the size that was asked for."""
    events = await run(stub, comfy_order())
    kinds = [event.WhichOneof("event") for event in events]
    assert (kinds[0], kinds[-2:]) == ("queued", ["output", "finished"])
    end, output = events[-1].finished, events[-2].output
    assert end.state == pb.JOB_STATE_DONE, end
    assert not output.photographic  # neither a model nor an uploaded picture is behind it
    assert json.loads(end.parameters_json) == {"width": 72, "height": 64, "color": 1}
    assert (end.backend, end.model) == ("comfyui", "comfyui/empty_image")
    assert len(end.workflow_sha256) == 64
    assert end.backend_job_id
    assert not end.outputs_reused
    with Image.open(io.BytesIO((tmp_path / output.media.uri).read_bytes())) as picture:
        assert picture.size == (72, 64)

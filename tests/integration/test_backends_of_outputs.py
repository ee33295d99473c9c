"""Outputs of ComfyUI workers and of a picture service, from the door to the record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stellwerk.common.v1 import types_pb2
from tests.fakes.comfyui import ComfyUIServer
from tests.fakes.ollama import FakeOllama
from tests.fakes.openai_images import FakeImageService
from tests.integration.house import House, item_types, no_faults, open_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stellwerk.tracker.v1 import execution_pb2

IDEA = "Ein Wal"
OFF = types_pb2.SAFETY_LEVEL_OFF


@pytest.fixture
async def pictures() -> AsyncIterator[FakeImageService]:
    """A picture service."""
    async with FakeImageService() as service:
        yield service


@pytest.fixture
async def house(
    tmp_path: Path, pictures: FakeImageService, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """A deployment with a ComfyUI worker that has no models, and a picture service."""
    async with FakeOllama("Ein Wal.") as ollama, ComfyUIServer(models={}) as worker:
        monkeypatch.setenv("COMFYUI_WORKERS", worker.url)
        monkeypatch.setenv("GENERATION_OPENAI_IMAGES_BASE_URL", f"{pictures.url}/v1")
        async with open_house(tmp_path, ollama.url) as running:
            yield running


def facts(record: execution_pb2.ExecutionRecord, item_type: str) -> list[dict[str, Any]]:
    """Metadata of the record's items of one type."""
    return [json.loads(i.metadata_json) for i in record.items if i.item_type == item_type]


async def test_empty_picture_reaches_a_child_without_any_model(house: House) -> None:
    """At the strictest level, a worker without models delivers the picture in the size wanted."""
    events = await house.run(
        config="passthrough",
        texts=[IDEA],
        outputs=["empty_image"],
        parameters={"width": "72", "height": "64"},
    )
    record = await house.record(no_faults(events))
    assert "pipeline_complete" in item_types(record)
    (made,) = facts(record, "output_image")
    assert (made["width"], made["height"]) == (72, 64)
    assert len(made["workflow_sha256"]) == 64
    assert not made["photographic"]


async def test_worker_without_the_model_is_told_in_one_sentence(house: House) -> None:
    """A missing model fails the run with one sentence; its author reads which, and where."""
    events = await house.run(config="passthrough", texts=[IDEA], outputs=["sd15"], safety_level=OFF)
    record = await house.record(events[0].execution_id)
    assert "output_image" not in item_types(record)
    (error,) = facts(record, "pipeline_error")
    assert error["error_type"] == "WORKER_LACKS"
    (warning,) = [fact for fact in facts(record, "warning") if "details" in fact]
    assert "v1-5-pruned-emaonly-fp16.safetensors" in warning["details"][0]


async def test_rewritten_prompt_is_recorded(house: House, pictures: FakeImageService) -> None:
    """The prompt as the service rewrote it stands in the record beside the picture."""
    events = await house.run(
        config="passthrough",
        texts=[IDEA],
        language="de",
        outputs=["openai_image"],
        parameters={"quality": '"low"'},
        safety_level=OFF,
    )
    record = await house.record(no_faults(events))
    assert pictures.requests[0].body["prompt"] == IDEA
    assert pictures.requests[0].body["quality"] == "low"
    texts = [item.content for item in record.items if item.item_type == "warning" and item.content]
    assert texts == [f"Revised: {IDEA}"]


async def test_rewritten_prompt_is_kept_from_children(
    house: House, pictures: FakeImageService
) -> None:
    """Nobody has checked what the service wrote: the live view of a child does not show it."""
    events = await house.run(
        config="passthrough", texts=[IDEA], language="de", outputs=["openai_image"]
    )
    shown = [
        event.item_recorded
        for event in events
        if event.WhichOneof("event") == "item_recorded"
        and b"BACKEND_TEXT" in event.item_recorded.item.metadata_json
    ]
    assert [(each.withheld, each.item.content) for each in shown] == [(True, "")]
    assert len(pictures.requests) == 1

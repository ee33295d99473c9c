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
        monkeypatch.setenv("GENERATION_OFFSITE_LEVELS", "kids,youth,adult,off")
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


async def test_every_picture_of_a_batch_is_checked_recorded_and_fetched(house: House) -> None:
    """A batch of three gives three items of one output, each of which its owner can read."""
    events = await house.run(
        config="passthrough",
        texts=[IDEA],
        outputs=["empty_image"],
        parameters={"width": "64", "height": "64", "batch_size": "3"},
    )
    record = await house.record(no_faults(events))
    made = [item for item in record.items if item.item_type == "output_image"]
    assert [fact["file_number"] for fact in facts(record, "output_image")] == [1, 2, 3]
    assert {item.loop_iteration for item in made} == {1}
    assert len(facts(record, "stage4_safety_check_image")) == 3
    (ready,) = [event.output_ready.output for event in events if event.HasField("output_ready")]
    shown = [ready.item_id, *(more.item_id for more in ready.more_files)]
    assert shown == [item.item_id for item in made]


async def test_film_that_nobody_can_check_is_not_for_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A film that may look real ends unavailable for minors instead of passing unchecked."""
    models = {
        "checkpoints": ["ltx-video-2b-v0.9.5.safetensors"],
        "text_encoders": ["t5xxl_fp16.safetensors"],
    }
    async with FakeOllama("Ein Wal.") as ollama, ComfyUIServer(models=models) as worker:
        monkeypatch.setenv("COMFYUI_WORKERS", worker.url)
        async with open_house(tmp_path, ollama.url) as house:
            events = await house.run(config="passthrough", texts=[IDEA], outputs=["ltx_video"])
            assert events[-1].state_changed.reason == "SAFETY_UNAVAILABLE"
            record = await house.record(events[0].execution_id)
            assert [fact["withheld"] for fact in facts(record, "output_video")] == [True]


async def test_film_drawn_by_rules_needs_no_guard(house: House) -> None:
    """The embedded renderer's film reaches a child."""
    events = await house.run(
        config="passthrough",
        texts=[IDEA],
        outputs=["embedded_video"],
        parameters={"width": "64", "height": "64"},
    )
    record = await house.record(no_faults(events))
    assert "output_video" in item_types(record)

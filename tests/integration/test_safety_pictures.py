"""Pictures of ComfyUI that may look like photographs: a guard makes them possible for children."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stellwerk.tracker.v1 import execution_pb2
from tests.fakes.comfyui import ComfyUIServer
from tests.fakes.ollama import FakeOllama
from tests.integration.guarded import guard, judged, models_file
from tests.integration.house import House, open_house
from tests.support import eventually

if TYPE_CHECKING:
    from stellwerk.orchestrator.v1.event_pb2 import ExecutionEvent

SHIPPED = Path(__file__).parents[2] / "configs"
STATES = execution_pb2.ExecutionState


def _photographic_configs(folder: Path) -> Path:
    """The shipped configs, whose quick ComfyUI output now may look like a photograph."""
    configs = folder / "configs"
    shutil.copytree(SHIPPED, configs)
    path = configs / "output/empty_image.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"photographic": True}))
    return configs


async def _draw(house: House, color: int) -> tuple[ExecutionEvent, dict[str, Any]]:
    """Run for a child; returns the end and the picture's facts in the record."""
    events = await house.run(
        config="passthrough",
        texts=["A red kite"],
        outputs=["empty_image"],
        parameters={"width": "64", "height": "64", "color": str(color)},
    )
    last = events[-1]
    record = await house.record(last.execution_id)
    (item,) = [each for each in record.items if each.item_type == "output_image"]
    return last, json.loads(item.metadata_json)


async def test_a_guard_makes_photographs_possible_for_children(tmp_path: Path) -> None:
    """Fit is delivered, unfit is blocked, and one that the guard fails on is shown to nobody."""
    said: dict[str, Any] = {"unsafe": False, "categories": []}
    roles = {"image_guard": guard("ollama/qwen2.5vl", "judge")}
    async with (
        ComfyUIServer() as comfy,
        FakeOllama(lambda request: judged(request, **said)) as server,
        open_house(
            tmp_path,
            server.url,
            generation_settings={
                "models_file": models_file(tmp_path, **roles),
                "models_profile": "test",
                "comfyui_workers": comfy.url,
            },
            safety_settings={"image_guard": True},
            configs_dir=_photographic_configs(tmp_path),
        ) as house,
    ):
        await eventually(lambda: comfy.requests)
        last, facts = await _draw(house, 1)
        assert last.state_changed.state == STATES.EXECUTION_STATE_COMPLETED
        assert "withheld" not in facts
        said.update(unsafe=True, categories=["violence"])
        last, facts = await _draw(house, 2)
        assert last.state_changed.state == STATES.EXECUTION_STATE_BLOCKED
        assert facts["withheld"] is True
        said.update(unsafe=False)
        last, facts = await _draw(house, 3)
        assert last.state_changed.state == STATES.EXECUTION_STATE_FAILED
        assert last.state_changed.reason == "SAFETY_UNAVAILABLE"
        assert facts["withheld"] is True


async def test_without_a_guard_children_get_no_photographs(tmp_path: Path) -> None:
    """The picture is made and recorded, and nobody has looked at it, so nobody may."""
    async with (
        ComfyUIServer() as comfy,
        FakeOllama() as server,
        open_house(
            tmp_path,
            server.url,
            generation_settings={"comfyui_workers": comfy.url},
            configs_dir=_photographic_configs(tmp_path),
        ) as house,
    ):
        await eventually(lambda: comfy.requests)
        last, facts = await _draw(house, 1)
        assert last.state_changed.reason == "SAFETY_UNAVAILABLE"
        assert facts["withheld"] is True

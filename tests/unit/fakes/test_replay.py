"""The stand-in is held against recordings of a real server."""

from __future__ import annotations

import pytest

from tests.fakes.comfyui import ComfyUIServer
from tests.unit.fakes.plans import PLANS
from tests.unit.fakes.replay import Replay


@pytest.mark.parametrize("name", PLANS)
async def test_replay_is_answered_as_recorded(name: str) -> None:
    """Statuses, bodies, headers and messages, in their order, are those of the real server."""
    plan = PLANS[name]
    async with ComfyUIServer(**({"step_seconds": 0.01} | dict(plan.switches))) as comfy:
        replay = Replay(name, plan, comfy)
        await replay.run()

    assert replay.compared.differences == []
    assert replay.compared.compared_count > 5

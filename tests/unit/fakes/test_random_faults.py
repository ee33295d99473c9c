"""The random mode: seeded, and always back to a good server at its end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid

import aiohttp
import pytest

from tests.fakes.comfyui import ComfyUIServer, RandomFaults, Switches, prompt_id_of
from tests.fakes.comfyui.random_faults import SETTINGS
from tests.support import eventually
from tests.unit.fakes.bare_client import BareClient, end_of, picture


async def _one_job(client: BareClient) -> bytes | None:
    """Post and poll as clumsily as possible; None if the job got lost or failed."""
    prompt_id = str(uuid.uuid4())
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError, AssertionError):
        async with asyncio.timeout(0.5):
            await client.post(picture(), prompt_id)
            entry = await client.ended(prompt_id)
            (content,) = await client.files(entry)
            assert prompt_id_of(content) == prompt_id, "somebody else's picture"
            return content
    return None


@pytest.mark.parametrize("seed", [1, 2])
async def test_server_is_good_again_after_random_faults(seed: int) -> None:
    """Whatever happened, in the end all switches are as before and a prompt succeeds."""
    async with ComfyUIServer() as comfy, BareClient(comfy.url) as client:
        async with RandomFaults(comfy, seed, longest_seconds=0.05).flipping() as faults:
            await asyncio.gather(*(_one_job(client) for _ in range(20)))
            await eventually(lambda: len(faults.log) > 20)

        assert comfy.switches == Switches()
        assert comfy.is_worker_alive
        entry = await client.run(picture())
        assert end_of(entry) == "execution_success"


async def test_same_seed_flips_the_same_switches() -> None:
    """A failure can be repeated."""

    async def log() -> list[str]:
        async with ComfyUIServer() as comfy:
            faults = RandomFaults(comfy, 7, longest_seconds=0.02)
            async with faults.flipping():
                await eventually(lambda: len(faults.log) >= 12)
            return [line for line in faults.log if line != "start"][:8]

    assert await log() == await log()


def test_every_fault_switch_is_in_the_random_mode() -> None:
    """A new switch must not be forgotten there."""
    flipped = {name for name, _ in SETTINGS}
    durations = {each.name for each in dataclasses.fields(Switches) if "seconds" in each.name}
    apart = {
        "models_in_memory",
        "forget_taken_over",
        "compress",
        "http_faults",  # by next_answers
        "run_fault",  # by next_runs
        "dead_worker",  # by the fault "die"
        "history_cap",
        "max_upload_bytes",
        "cors_origin",
        "metadata",
        "cache_entries",
    }
    assert {each.name for each in dataclasses.fields(Switches)} == flipped | durations | apart

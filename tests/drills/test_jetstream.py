"""Replicas, processes with workers and NATS die while a school works; nobody gets less for it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.drills.callers import Caller, picture_of
from tests.fakes.comfyui import ComfyUIProcess
from tests.integration.generation_fleet import open_fleet
from tests.nats import nats_server
from tests.postgres import shared_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.generation_fleet import Fleet, Member
    from tests.nats import NatsServer

REPLICAS = 3
WORKERS = 4
SESSIONS = 30
JOBS_EACH = 12
COUNTED_EACH = 8
JOB_SECONDS = 0.3
CHAOS_SECONDS = 4.0
MOST_SECONDS = 480.0


@pytest.mark.timeout(900)
async def test_all_jobs_end_rightly_whoever_dies(
    tmp_path: Path, seed: int, tell: Callable[[str], None]
) -> None:
    """360 jobs of 30 sessions: each done once, with its own picture, in fair turns."""
    rng = random.Random(seed)
    async with contextlib.AsyncExitStack() as stack:
        nats = stack.enter_context(nats_server(tmp_path / "nats"))
        switch = f'node_seconds={{"EmptyImage": {JOB_SECONDS}}}'
        comfys = [await stack.enter_async_context(ComfyUIProcess([switch])) for _ in range(WORKERS)]
        urls = [comfy.url for comfy in comfys]
        settings = {
            "QUEUE_LEASE_SECONDS": "2",
            "WORKER_SILENCE_SECONDS": "3",
            "WORKER_CHECK_SECONDS": "1",
            "JOB_ATTEMPTS": "6",
            "MEDIA_DATABASE_URL": shared_server().create(f"ledger_{uuid.uuid4().hex}"),
        }
        folder = tmp_path / "data"
        fleet = await stack.enter_async_context(
            open_fleet(folder, nats, urls, replicas=REPLICAS, settings=settings)
        )
        callers = [Caller(fleet, number, rng, SESSIONS) for number in range(SESSIONS * JOBS_EACH)]
        killed: Counter[str] = Counter()
        chaos = asyncio.create_task(unrest(fleet, nats, rng, killed))
        started = time.monotonic()
        async with asyncio.timeout(MOST_SECONDS):
            await asyncio.gather(*(caller.call() for caller in callers))
        seconds = time.monotonic() - started
        chaos.cancel()
        await asyncio.gather(chaos, return_exceptions=True)
        runs = [run for comfy in comfys for run in comfy.runs]
        ends = Counter(pb.JobState.Name(one.events[-1].finished.state) for one in callers)
        tell(f"{dict(ends)} in {seconds:.0f} s; {len(runs)} prompts; killed: {dict(killed)}")
        faults = [end for one in callers if (end := one.events[-1].finished).error_reason]
        assert not faults
        delivered = [await picture_of(caller, folder) for caller in callers]
        assert len(set(delivered)) == len(delivered)
        done = Counter(run.prompt_id for run in runs if run.outcome == "execution_success")
        assert set(done.values()) == {1}
        shares = shares_of(callers)
        tell(f"of {COUNTED_EACH} turns, sessions had {min(shares.values())}–{max(shares.values())}")
        assert all(abs(share / COUNTED_EACH - 1) <= 0.2 for share in shares.values())


async def unrest(fleet: Fleet, nats: NatsServer, rng: random.Random, killed: Counter[str]) -> None:
    """Kill one of each every few seconds, and the NATS server once."""
    rounds = 0
    while True:
        await asyncio.sleep(CHAOS_SECONDS)
        rounds += 1
        victims: list[Member] = [rng.choice(fleet.replicas), rng.choice(fleet.workers)]
        for victim, kind in zip(victims, ("replicas", "workers"), strict=True):
            await victim.kill()
            killed[kind] += 1
        if rounds == 2:
            await asyncio.to_thread(nats.kill)
            await asyncio.sleep(1)
            await asyncio.to_thread(nats.start)
            killed["nats"] += 1
        for victim in victims:
            await victim.start()
        for victim in victims:
            await victim.serving()


def shares_of(callers: list[Caller]) -> Counter[str]:
    """How many turns each session had, of the first ones, when all of them still had jobs."""
    shares: Counter[str] = Counter({caller.session: 0 for caller in callers})
    in_order = sorted(callers, key=lambda each: each.begin_time)
    shares.update(caller.session for caller in in_order[: SESSIONS * COUNTED_EACH])
    return shares

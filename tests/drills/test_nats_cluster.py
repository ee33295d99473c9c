"""A cluster of three NATS servers loses one after the other while jobs run."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import uuid
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.drills.callers import Caller, picture_of
from tests.fakes.comfyui import ComfyUIProcess
from tests.integration.generation_fleet import QUICK, open_fleet
from tests.nats import nats_cluster
from tests.postgres import shared_server
from tests.unit.servicekit.authorities import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.nats import NatsServer

REPLICAS = 2
WORKERS = 3
SESSIONS = 12
JOBS = 240
JOB_SECONDS = 0.3
CHAOS_SECONDS = 2.0
AWAY_SECONDS = 1.0
MOST_SECONDS = 480.0
PASSWORD = "in the first address alone"


@pytest.mark.timeout(900)
async def test_nothing_is_lost_with_one_of_three_nats_servers(
    tmp_path: Path, seed: int, tell: Callable[[str], None]
) -> None:
    """240 jobs by mutual TLS: each done once, with its own picture, though only one is known."""
    rng = random.Random(seed)
    authority = Authority()
    files = {name: authority.issue(tmp_path / name, name) for name in ("nats", "generation")}
    config = (
        f'tls {{ cert_file: "{files["nats"].certificate}", key_file: "{files["nats"].key}", '
        f'ca_file: "{files["nats"].ca}", verify: true }}\n'
        f'authorization {{ user: stellwerk, password: "{PASSWORD}" }}\n'
    )
    async with contextlib.AsyncExitStack() as stack:
        servers = stack.enter_context(nats_cluster(tmp_path / "store", config))
        switch = f'node_seconds={{"EmptyImage": {JOB_SECONDS}}}'
        comfys = [await stack.enter_async_context(ComfyUIProcess([switch])) for _ in range(WORKERS)]
        settings = QUICK | {
            "NATS_URL": f"tls://stellwerk:{PASSWORD.replace(' ', '%20')}@{servers[0].address}",
            "NATS_AUTHORITY": str(files["generation"].ca),
            "NATS_CERTIFICATE": str(files["generation"].certificate),
            "NATS_KEY": str(files["generation"].key),
            "NATS_REPLICAS": "3",
            "JOB_ATTEMPTS": "6",
            "MEDIA_DATABASE_URL": shared_server().create(f"ledger_{uuid.uuid4().hex}"),
        }
        folder, urls = tmp_path / "data", [comfy.url for comfy in comfys]
        fleet = await stack.enter_async_context(
            open_fleet(folder, servers[0], urls, replicas=REPLICAS, settings=settings)
        )
        callers = [Caller(fleet, number, rng, SESSIONS) for number in range(JOBS)]
        killed: Counter[str] = Counter()
        chaos = asyncio.create_task(unrest(servers, killed))
        async with asyncio.timeout(MOST_SECONDS):
            await asyncio.gather(*(caller.call() for caller in callers))
        if chaos.done():
            chaos.result()  # it ends by itself only when it fails
        chaos.cancel()
        await asyncio.gather(chaos, return_exceptions=True)
        runs = [run for comfy in comfys for run in comfy.runs]
        ends = Counter(pb.JobState.Name(one.events[-1].finished.state) for one in callers)
        tell(f"{dict(ends)}; {len(runs)} prompts; killed: {list(killed.values())}")
        assert {one.events[-1].finished.error_reason for one in callers} == {""}
        delivered = [await picture_of(caller, folder) for caller in callers]
        assert len(set(delivered)) == len(delivered)
        done = Counter(run.prompt_id for run in runs if run.outcome == "execution_success")
        assert set(done.values()) == {1}


async def unrest(servers: Sequence[NatsServer], killed: Counter[str]) -> None:
    """Kill one of the servers after the other; the next one only when all are well again."""
    for victim in itertools.cycle(servers):
        await asyncio.sleep(CHAOS_SECONDS)
        await asyncio.to_thread(victim.kill)
        killed[victim.address] += 1
        await asyncio.sleep(AWAY_SECONDS)
        await asyncio.to_thread(victim.start)

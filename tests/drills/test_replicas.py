"""Three orchestrators share the work, and now and then one of them dies."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import grpc
import pytest

from servicekit.errors import remote_error
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.tracker.v1 import execution_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from tests.drills.pipelines import game_request
from tests.integration.house import House, open_house
from tests.integration.replicas import LEASE_SECONDS, Replica, open_replicas
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fakes.ollama import FakeOllama

RUNS = 200
KILLS = 12
AT_ONCE = 12
SETTLED_SECONDS = LEASE_SECONDS + 120
NOT_YET = ("", "LEASE_HELD", "OWNER_UNAVAILABLE", "DRAINING", "NEIGHBOUR_UNAVAILABLE")
COMPLETED = execution_pb2.EXECUTION_STATE_COMPLETED


@pytest.mark.timeout(900)
async def test_every_run_is_done_once_whoever_dies(
    tmp_path: Path, ollama: FakeOllama, seed: int, tell: Callable[[str], None]
) -> None:
    """Runs are begun, watched and resumed at random replicas while these are killed at random."""
    choice = random.Random(seed)
    async with (
        open_house(tmp_path, ollama.url, lease_seconds=LEASE_SECONDS) as house,
        open_replicas(house, tmp_path) as replicas,
    ):
        places = asyncio.Semaphore(AT_ONCE)
        killing = asyncio.create_task(kill_now_and_then(replicas, choice))

        async def run(number: int) -> str:
            async with places:
                return await one_run(replicas, f"lauf-{number}", random.Random(f"{seed}/{number}"))

        ids = await asyncio.gather(*map(run, range(RUNS)))
        killed = await killing
        assert len(set(ids)) == RUNS
        epochs = [await check(house, execution_id) for execution_id in ids]
    tell(
        f"{killed} of 3 replicas killed under {RUNS} runs: all complete and gapless, "
        f"{sum(epoch > 1 for epoch in epochs)} were taken up by another claim, at most "
        f"{max(epochs) - 1} times"
    )


async def kill_now_and_then(replicas: list[Replica], choice: random.Random) -> int:
    """Kill replicas and start them again, so that two of three always live."""
    for _ in range(KILLS):
        await asyncio.sleep(choice.uniform(0.5, 3.0))
        victim = choice.choice(replicas)
        await victim.kill()
        victim.revive()
        await victim.serving()
    return KILLS


async def one_run(replicas: list[Replica], key: str, choice: random.Random) -> str:
    """Bring one run to its end, as a client does that repeats what fails; returns its id."""
    request = game_request()
    request.idempotency_key = key
    known = ""

    async def try_once() -> bool:
        nonlocal known
        where = choice.choice(replicas).house
        try:
            resume = pb2.ResumeExecutionRequest(execution_id=known)
            stub = where.orchestrator
            async for response in (
                stub.ResumeExecution(resume, timeout=60)
                if known
                else stub.RunExecution(request, timeout=60)
            ):
                known = response.event.execution_id
                state = response.event.state_changed.state
            return bool(state == COMPLETED)
        except grpc.aio.AioRpcError as exc:
            reason = remote_error(exc).reason
            assert reason in (*NOT_YET, "EXECUTION_CLOSED", "EXECUTION_NOT_FOUND"), reason
            if reason == "EXECUTION_NOT_FOUND":
                known = ""  # it died before the tracker had heard of it: the key is still free
            return reason == "EXECUTION_CLOSED"

    await eventually(try_once, within_seconds=SETTLED_SECONDS)
    return known


async def check(house: House, execution_id: str) -> int:
    """Check that a record is complete, gapless and sealed; returns its last epoch."""
    record = await house.record(execution_id)
    items = [item for item in record.items if not item.late]
    assert [item.sequence_number for item in items] == list(range(1, len(items) + 1))
    assert record.summary.state == COMPLETED
    found = await house.tracker.VerifyChain(
        tracker_pb2.VerifyChainRequest(execution_id=execution_id)
    )
    assert found.state == tracker_pb2.CHAIN_STATE_VALID
    return record.summary.epoch

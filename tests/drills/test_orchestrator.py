"""The orchestrator dies in the midst of its runs, and nothing that it had recorded is gone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import signal
from typing import TYPE_CHECKING, Literal

import grpc
import pytest

from servicekit.channel import open_channel
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.tracker.v1 import execution_pb2
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from tests.drills.faults import frozen, revive
from tests.drills.pipelines import (
    CATCH_UP_SECONDS,
    RUN_SECONDS,
    assert_chain,
    configs_with_short_game,
    game_request,
    read_record,
)
from tests.e2e.deployment import deployed
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.e2e.deployment import Deployment

Mode = Literal["up", "frozen", "down"]
Seen = dict[str, list[str]]
"""The items of each execution that its caller was shown: all of them had been recorded."""

KILLS = 30
AT_ONCE = 3
LONGEST_SECONDS = 0.7
ENDS = (execution_pb2.EXECUTION_STATE_INTERRUPTED, execution_pb2.EXECUTION_STATE_COMPLETED)


@pytest.fixture
def settings(tmp_path: Path, local_models: dict[str, str]) -> dict[str, str]:
    """Settings of the services: a short lease, and little time to finish runs after SIGTERM."""
    return local_models | {
        "ORCHESTRATOR_CONFIGS_DIR": str(configs_with_short_game(tmp_path)),
        "ORCHESTRATOR_HEARTBEAT_SECONDS": "0.5",
        "ORCHESTRATOR_FINISH_SECONDS": "0.1",
        "ORCHESTRATOR_GRACE_SECONDS": "1",
        "TRACKER_EXECUTION_LEASE_SECONDS": "3",
    }


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["up", "frozen", "down"])
async def test_what_was_recorded_outlives_the_orchestrator(
    tmp_path: Path,
    settings: dict[str, str],
    seed: int,
    mode: Mode,
    tell: Callable[[str], None],
) -> None:
    """After 30 deaths every item that was shown is recorded once, and cut runs are INTERRUPTED."""
    choice, seen = random.Random(seed), Seen()
    with deployed(tmp_path, "--no-restart", environment=settings) as deployment:
        deployment.remember()
        for number in itertools.islice(itertools.cycle((signal.SIGKILL, signal.SIGTERM)), KILLS):
            async with tracker_is(mode, deployment):
                shown = asyncio.Event()
                watching = [
                    asyncio.create_task(watch(deployment.server, shown)) for _ in range(AT_ONCE)
                ]
                await asyncio.wait_for(shown.wait(), RUN_SECONDS)
                await asyncio.sleep(choice.uniform(0.0, LONGEST_SECONDS))
                await end_orchestrator(deployment, number)
                for execution_id, item_ids in await asyncio.gather(*watching):
                    seen[execution_id] = item_ids
            await revive(deployment, "orchestrator")
        seen.pop("", None)  # died before it had shown anything
        interrupted = await count_interrupted(deployment.address("tracker"), seen)
        deployment.end_revived()
    assert interrupted, "no run was cut short"
    tell(
        f"{KILLS} deaths with the tracker {mode}: {sum(map(len, seen.values()))} items of "
        f"{len(seen)} executions that had been shown are recorded, none twice; "
        f"{interrupted} executions INTERRUPTED"
    )


@contextlib.asynccontextmanager
async def tracker_is(mode: Mode, deployment: Deployment) -> AsyncIterator[None]:
    """Freeze or kill the tracker for a while."""
    if mode == "frozen":
        async with frozen(deployment):
            yield
    elif mode == "down":
        await asyncio.to_thread(deployment.kill, "tracker")
        yield
        await revive(deployment)
    else:
        yield


async def watch(address: str, shown: asyncio.Event) -> tuple[str, list[str]]:
    """Run an execution until it ends or its orchestrator does.

    Args:
        address: The orchestrator.
        shown: Set with the first item.

    Returns:
        The execution and its items, as far as they were shown.
    """
    execution_id, item_ids = "", []
    async with open_channel(address) as channel:
        call = OrchestratorServiceStub(channel).RunExecution(game_request(), timeout=RUN_SECONDS)
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for response in call:
                execution_id = response.event.execution_id
                if response.event.HasField("item_recorded"):
                    item_ids.append(response.event.item_recorded.item.item_id)
                    shown.set()
    return execution_id, item_ids


async def end_orchestrator(deployment: Deployment, number: signal.Signals) -> None:
    """Send a signal to the orchestrator and wait for its end."""
    process = deployment.starts["orchestrator"][2]
    process.send_signal(number)
    await asyncio.to_thread(process.wait, 20)


async def count_interrupted(address: str, seen: Seen) -> int:
    """Check the records of all executions; returns how many of them are INTERRUPTED."""
    interrupted = 0
    async with open_channel(address) as channel:
        stub = TrackerServiceStub(channel)

        async def settled(execution_id: str) -> execution_pb2.ExecutionRecord | None:
            record = await read_record(stub, execution_id)
            if record is None or record.summary.state not in ENDS:
                return None
            stored = {item.item_id for item in record.items}
            return record if stored.issuperset(seen[execution_id]) else None

        for execution_id in seen:

            async def ask(execution_id: str = execution_id) -> execution_pb2.ExecutionRecord | None:
                return await settled(execution_id)

            record = await eventually(ask, within_seconds=CATCH_UP_SECONDS)
            assert record is not None
            numbers = [item.sequence_number for item in record.items]
            assert numbers == list(range(1, len(numbers) + 1))
            await assert_chain(stub, execution_id, len(numbers))
            interrupted += record.summary.state == execution_pb2.EXECUTION_STATE_INTERRUPTED
    return interrupted

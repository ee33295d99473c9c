"""The tracker and its databases die, freeze and fill up under load, and no item is lost."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from tests.drills.faults import FREEZES, FULL_DISKS, KILLS, TrackerFaults
from tests.drills.pipelines import (
    ITEMS,
    assert_all_recorded,
    configs_with_short_game,
    milliseconds,
    run_many,
)
from tests.e2e.deployment import deployed
from tests.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EXECUTIONS = 200
GAP_SECONDS = 0.4
RESTARTS = 8
RESTART_PAUSE_SECONDS = 8.0


@pytest.fixture
def settings(tmp_path: Path, local_models: dict[str, str]) -> dict[str, str]:
    """Settings of the services."""
    configs = configs_with_short_game(tmp_path)
    return local_models | {"ORCHESTRATOR_CONFIGS_DIR": str(configs)}


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server of its own, since it is restarted."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.mark.timeout(900)
async def test_a_tracker_killed_frozen_and_full_loses_nothing(
    tmp_path: Path, settings: dict[str, str], seed: int, tell: Callable[[str], None]
) -> None:
    """After 20 kills, 2 freezes and a full disk every record is complete, once, and sealed."""
    with deployed(tmp_path, "--no-restart", environment=settings) as deployment:
        deployment.remember()
        tracker = deployment.address("tracker")
        calm = await run_many(deployment.server, EXECUTIONS, GAP_SECONDS)
        await assert_all_recorded(tracker, calm)
        faults = TrackerFaults(deployment, random.Random(seed))
        breaking = asyncio.create_task(faults.run())
        runs = await run_many(deployment.server, EXECUTIONS, GAP_SECONDS)
        late = not breaking.done()
        await breaking
        await assert_all_recorded(tracker, runs)
        deployment.end_revived()
    tell(
        f"{EXECUTIONS * ITEMS} of {EXECUTIONS * ITEMS} items through {KILLS} kills, {FREEZES} "
        f"freezes, {FULL_DISKS} full disk; undisturbed {milliseconds(calm)}; disturbed "
        f"{milliseconds(runs)}{'; the last faults came after the last execution' if late else ''}"
    )


@pytest.mark.timeout(600)
async def test_a_database_that_restarts_loses_nothing(
    tmp_path: Path,
    settings: dict[str, str],
    postgres: PostgresServer,
    seed: int,
    tell: Callable[[str], None],
) -> None:
    """While PostgreSQL restarts under load every record becomes complete, once, and sealed."""
    choice = random.Random(seed)
    settings |= {"TRACKER_DATABASE_URL": postgres.create("tracker")}

    async def restart() -> None:
        for _ in range(RESTARTS):
            await asyncio.sleep(choice.uniform(0.0, RESTART_PAUSE_SECONDS))
            await asyncio.to_thread(postgres.stop)
            await asyncio.sleep(choice.uniform(0.0, 2.0))
            await asyncio.to_thread(postgres.start)

    with deployed(tmp_path, "--no-restart", environment=settings) as deployment:
        restarting = asyncio.create_task(restart())
        runs = await run_many(deployment.server, EXECUTIONS, GAP_SECONDS / 2)
        await restarting
        await assert_all_recorded(deployment.address("tracker"), runs)
    tell(
        f"{EXECUTIONS * ITEMS} of {EXECUTIONS * ITEMS} items through {RESTARTS} restarts of "
        f"PostgreSQL; {milliseconds(runs)}"
    )

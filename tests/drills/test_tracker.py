"""The tracker and its databases die, freeze and fill up under load, and no item is lost."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.drills.database import Database, running_database
from tests.drills.faults import FREEZES, FULL_DISKS, KILLS, TrackerFaults
from tests.drills.pipelines import (
    ITEMS,
    assert_all_recorded,
    configs_with_short_game,
    milliseconds,
    run_many,
)
from tests.e2e.deployment import deployed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from tests.drills.pipelines import Run
    from tests.e2e.deployment import Deployment

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
def postgres() -> Iterator[Database]:
    """A server of its own, since it is restarted."""
    with running_database() as database:
        yield database


@pytest.mark.timeout(900)
async def test_a_tracker_killed_frozen_and_full_loses_nothing(
    tmp_path: Path, settings: dict[str, str], seed: int, tell: Callable[[str], None]
) -> None:
    """After 20 kills, 2 freezes and a full disk every record is complete, once, and sealed."""
    with deployed(tmp_path, "--no-restart", environment=settings) as deployment:
        deployment.remember()
        runs, durations = await calm_and_disturbed(
            deployment, TrackerFaults(deployment, random.Random(seed)).run
        )
        deployment.end_revived()
    assert len(runs) == EXECUTIONS
    tell(f"{KILLS} kills, {FREEZES} freezes, {FULL_DISKS} full disk: {durations}")


@pytest.mark.timeout(900)
async def test_a_database_that_restarts_loses_nothing(
    tmp_path: Path,
    settings: dict[str, str],
    postgres: Database,
    seed: int,
    tell: Callable[[str], None],
) -> None:
    """While PostgreSQL restarts under load every record becomes complete, once, and sealed."""
    choice = random.Random(seed)

    async def restart() -> None:
        for _ in range(RESTARTS):
            await asyncio.sleep(choice.uniform(0.0, RESTART_PAUSE_SECONDS))
            await asyncio.to_thread(postgres.stop)
            await asyncio.sleep(choice.uniform(0.0, 2.0))
            await asyncio.to_thread(postgres.start)

    settings |= {"TRACKER_DATABASE_URL": postgres.url}
    with deployed(tmp_path, "--no-restart", environment=settings) as deployment:
        runs, durations = await calm_and_disturbed(deployment, restart)
    assert len(runs) == EXECUTIONS
    tell(f"{RESTARTS} restarts of PostgreSQL: {durations}")


async def calm_and_disturbed(
    deployment: Deployment, disturb: Callable[[], Coroutine[Any, Any, None]]
) -> tuple[list[Run], str]:
    """Run the executions twice, the second time with faults, and check every record.

    Returns:
        The runs of the second time; what was recorded, and how long it took, for people.
    """
    tracker = deployment.address("tracker")
    calm = await run_many(deployment.server, EXECUTIONS, GAP_SECONDS)
    await assert_all_recorded(tracker, calm)
    disturbing = asyncio.create_task(disturb())
    disturbed = await run_many(deployment.server, EXECUTIONS, GAP_SECONDS)
    in_time = disturbing.done()
    await disturbing
    await assert_all_recorded(tracker, disturbed)
    count = EXECUTIONS * ITEMS
    told = (
        f"{count} of {count} items; executions took {milliseconds(calm)} undisturbed, "
        f"{milliseconds(disturbed)} disturbed"
        + ("" if in_time else "; some faults came after the last execution")
    )
    return disturbed, told

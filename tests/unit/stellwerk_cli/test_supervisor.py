"""The supervisor with real processes: start, restart, order of stopping, death of the parent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from stellwerk_cli.readiness import check_serving
from stellwerk_cli.services import SERVICE_NAMES
from stellwerk_cli.supervisor import Backoff, StartError, Supervisor
from tests.support import eventually
from tests.unit.stellwerk_cli.tiny import specs_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stellwerk_cli.services import ServiceSpec


@dataclass
class Stage:
    """A supervisor and what it reported."""

    data: Path
    specs: tuple[ServiceSpec, ...]
    reports: list[tuple[str, str]] = field(default_factory=list)

    def supervisor(self, *, restart: bool) -> Supervisor:
        """Make the supervisor of this stage."""
        return Supervisor(
            self.specs,
            self.data,
            restart=restart,
            report=lambda spec, words: self.reports.append((spec.name, words)),
            start_seconds=30.0,
        )

    def run_file(self) -> dict[str, Any]:
        """Read `run.json`."""
        content: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        return content

    def pid(self, name: str) -> int:
        """Return the pid of a service as `run.json` has it."""
        pid: int = self.run_file()[name]["pid"]
        return pid

    def words_of(self, name: str) -> list[str]:
        """Return what was reported of a service."""
        return [words for service, words in self.reports if service == name]


@contextlib.asynccontextmanager
async def running(stage: Stage, *, restart: bool) -> AsyncIterator[Supervisor]:
    """Run the services of a stage."""
    supervisor = stage.supervisor(restart=restart)
    try:
        await supervisor.start()
        yield supervisor
    finally:
        await supervisor.stop()


async def test_run_file_names_every_process_once_all_serve(tmp_path: Path) -> None:
    """After the start `run.json` holds the pid and address of each of the processes."""
    stage = Stage(tmp_path, specs_in(tmp_path))
    async with running(stage, restart=True):
        content = stage.run_file()
        assert {name: entry["address"] for name, entry in content.items()} == {
            spec.name: spec.address for spec in stage.specs
        }
        for entry in content.values():
            assert psutil.pid_exists(entry["pid"])
            assert await check_serving(entry["address"])


async def test_killed_service_is_started_again_under_its_address(tmp_path: Path) -> None:
    """A killed service comes back with a new pid, which `run.json` then names."""
    stage = Stage(tmp_path, specs_in(tmp_path))
    async with running(stage, restart=True):
        old_pid = stage.pid("tracker")
        os.kill(old_pid, signal.SIGKILL)
        await eventually(lambda: "serving again" in stage.words_of("tracker"))
        assert stage.pid("tracker") != old_pid
        assert await check_serving(stage.run_file()["tracker"]["address"])


async def test_killed_service_stays_down_without_restarts(tmp_path: Path) -> None:
    """Without restarts a killed service stays down and the others go on."""
    stage = Stage(tmp_path, specs_in(tmp_path))
    async with running(stage, restart=False):
        os.kill(stage.pid("safety"), signal.SIGKILL)
        await eventually(lambda: any("stays down" in words for words in stage.words_of("safety")))
        assert await check_serving(stage.specs[1].address) is None
        assert await check_serving(stage.specs[0].address)


async def test_stop_ends_the_page_first_and_the_tracker_last(tmp_path: Path) -> None:
    """Services drain to their end, each before those that it needs."""
    stage = Stage(tmp_path, specs_in(tmp_path))
    async with running(stage, restart=True):
        pass
    stopped = [name for name, words in stage.reports if words == "stopped"]
    assert (stopped[0], stopped[1], stopped[-1]) == ("gateway", "orchestrator", "tracker")
    assert sorted(stopped) == sorted(SERVICE_NAMES)
    for spec in stage.specs:
        assert "tiny service closed" in spec.log_path.read_text()


async def test_service_that_hangs_at_its_end_is_killed_when_hurried(tmp_path: Path) -> None:
    """A service in a long drain is killed as soon as somebody is in a hurry."""
    stage = Stage(tmp_path, specs_in(tmp_path, TINY_DRAIN_SECONDS="600"))
    supervisor = stage.supervisor(restart=True)
    hurry = asyncio.Event()
    try:
        await supervisor.start()
    finally:
        stopping = asyncio.create_task(supervisor.stop(hurry=hurry))
        hurry.set()
        await stopping
    assert "tiny service closed" not in stage.specs[0].log_path.read_text()


async def test_service_that_gives_up_at_the_start_says_why(tmp_path: Path) -> None:
    """The error of a failed start holds the last words of the service."""
    stage = Stage(tmp_path, specs_in(tmp_path, TINY_FAULT="the key file is missing"))
    supervisor = stage.supervisor(restart=True)
    try:
        with pytest.raises(StartError, match=r"ended with code 78(.|\n)*the key file is missing"):
            await supervisor.start()
    finally:
        await supervisor.stop()


async def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """Services end when the process of their supervisor is killed."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("supervise.py")), str(tmp_path)
    )
    try:
        await eventually((tmp_path / "run.json").exists, within_seconds=30)
        content = json.loads((tmp_path / "run.json").read_text())
    finally:
        parent.kill()
        await parent.wait()
    pids = [entry["pid"] for entry in content.values()]
    await eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids))


def test_pauses_double_up_to_a_limit_and_start_anew_after_a_healthy_run() -> None:
    """The first pause is below two seconds, later ones grow, a long run resets them."""
    backoff = Backoff()
    pauses = [backoff.after_run_of(1.0) for _ in range(12)]
    assert pauses[0] < 2.0
    assert pauses == sorted(pauses)
    assert pauses[-1] == pauses[-2]
    assert backoff.after_run_of(3600.0) == pauses[0]

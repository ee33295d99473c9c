"""`stellwerk up` as a process: its console, its files, its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil

from tests.e2e.deployment import deployed, free_base_port
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.deployment import Deployment

SERVICES = ("orchestrator", "safety", "generation", "tracker", "gateway")


def up(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `up` where it cannot serve, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "stellwerk_cli", "up", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_console_says_ready_once_and_not_before(served: Deployment) -> None:
    """One line is exactly `ready`, and no line before it contains that word."""
    lines = served.console
    assert lines.count("ready") == 1
    assert not [line for line in lines[: lines.index("ready")] if "ready" in line]


def test_ports_follow_each_other_in_the_documented_order(served: Deployment) -> None:
    """`run.json` names the services on ports from the base port on, each a live process."""
    content = served.run_file()
    assert tuple(content) == SERVICES
    for offset, name in enumerate(SERVICES):
        assert content[name]["address"] == f"127.0.0.1:{served.base_port + offset}"
        assert psutil.pid_exists(content[name]["pid"])


def test_logs_are_json_lines_in_the_data_folder(served: Deployment) -> None:
    """Each service logs to a file of its own."""
    for name in SERVICES:
        first = (served.data / "logs" / f"{name}.log").read_text().splitlines()[0]
        assert first.startswith("{")


def test_data_folder_in_use_is_refused(served: Deployment, tmp_path: Path) -> None:
    """A second `up` on the same folder ends at once and says who holds it."""
    port = str(free_base_port())
    result = up(tmp_path, "--data", str(served.data), "--base-port", port)
    assert result.returncode == 1
    assert str(served.process.pid) in result.stderr
    assert served.run_file()


def test_port_in_use_is_refused(tmp_path: Path) -> None:
    """A port that somebody has is named, and the code is that of a wrong usage."""
    base_port = free_base_port()
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", base_port + 2))
        somebody.listen()
        result = up(tmp_path, "--base-port", str(base_port))
    assert result.returncode == 2
    assert str(base_port + 2) in result.stderr


def test_service_that_cannot_start_is_named_with_its_reason(tmp_path: Path) -> None:
    """A faulty setting of a service ends `up` with code 1 and the service's own words."""
    with_fault = {**os.environ, "SAFETY_LOG_LEVEL": "LOUD"}
    result = subprocess.run(
        [
            *(sys.executable, "-m", "stellwerk_cli", "up"),
            *("--base-port", str(free_base_port())),
        ],
        cwd=tmp_path,
        env=with_fault,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert "safety" in result.stderr
    assert "SAFETY_LOG_LEVEL" in result.stderr


async def test_killed_up_leaves_nothing_and_the_next_one_drains(
    tmp_path: Path, local_models: dict[str, str]
) -> None:
    """SIGKILL to `up` ends the services too; SIGTERM to the next ends them in order, code 0."""
    with deployed(tmp_path, environment=local_models) as deployment:
        children = psutil.Process(deployment.process.pid).children(recursive=True)
        deployment.process.send_signal(signal.SIGKILL)
        await eventually(lambda: none_runs(children), within_seconds=30)
    with deployed(tmp_path, environment=local_models) as again:
        children = psutil.Process(again.process.pid).children(recursive=True)
        assert again.stop() == 0
        assert none_runs(children)
        stopped = [line.split()[0] for line in again.console if line.endswith("stopped")]
        assert (stopped[0], stopped[1], stopped[-1]) == ("gateway", "orchestrator", "tracker")


def none_runs(processes: list[psutil.Process]) -> bool:
    """Tell whether all of some processes have ended."""
    return not any(process.is_running() for process in processes)

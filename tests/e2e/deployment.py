"""A deployment as a user starts it: `stellwerk up` as a process, and commands against it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

START_SECONDS = 90.0
COMMAND_SECONDS = 60.0
TERMINAL_ITEMS = {"pipeline_complete", "pipeline_blocked", "pipeline_error", "pipeline_cancelled"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Json]:
        """Standard output as JSON, one object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def execution_id(self) -> str:
        """The execution that the first line names."""
        execution_id: str = self.lines[0]["execution_id"]
        return execution_id

    @property
    def items(self) -> list[Json]:
        """The recorded items that were shown, in their order."""
        return [
            line["item_recorded"]["item"] for line in self.lines if line["event"] == "item_recorded"
        ]

    def reasons(self) -> list[str]:
        """Reasons of changes of state, such as SAFETY_UNAVAILABLE."""
        changes = [line["state_changed"] for line in self.lines if "state_changed" in line]
        return [change["reason"] for change in changes if "reason" in change]


@dataclass
class Deployment:
    """A running `stellwerk up`."""

    data: Path
    base_port: int
    process: subprocess.Popen[bytes]
    starts: dict[str, tuple[list[str], dict[str, str], psutil.Process]] = field(
        default_factory=dict
    )

    @property
    def server(self) -> str:
        """Address of the orchestrator."""
        return f"127.0.0.1:{self.base_port}"

    @property
    def console(self) -> list[str]:
        """The lines that `up` has printed so far."""
        return console_path(self.data).read_text().splitlines()

    def run_file(self) -> Json:
        """Read `run.json`."""
        content: Json = json.loads((self.data / "run.json").read_text())
        return content

    def pid(self, service: str) -> int:
        """Return the pid of a service."""
        pid: int = self.run_file()[service]["pid"]
        return pid

    def address(self, service: str) -> str:
        """Return the address of a service."""
        address: str = self.run_file()[service]["address"]
        return address

    def signal(self, service: str, number: signal.Signals) -> None:
        """Send a signal to a service."""
        os.kill(self.pid(service), number)

    def command(self, *arguments: str, **environment: str) -> Result:
        """Run a `stellwerk` command against this deployment to its end."""
        with self.started(*arguments, **environment) as process:
            out, err = process.communicate(timeout=COMMAND_SECONDS)
        return Result(process.returncode, out.decode(), err.decode())

    @contextlib.contextmanager
    def started(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start a `stellwerk` command against this deployment; it is killed at the end."""
        process = subprocess.Popen(
            [sys.executable, "-m", "stellwerk_cli", *arguments],
            env=os.environ | {"STELLWERK_SERVER": self.server} | environment,
            cwd=self.data.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, text: str, *options: str, **environment: str) -> Result:
        """Run an idea to its end, as JSON, outputs under `out` beside the data."""
        out = str(self.data.parent / "out")
        return self.command("run", text, "--json", "--out", out, *options, **environment)

    def record(self, execution_id: str) -> Json:
        """Return a record as `records show --json` prints it."""
        result = self.command("records", "show", execution_id, "--json")
        assert result.code == 0, result.err
        record: Json = json.loads(result.out)
        return record

    def complete_record(self, execution_id: str, within_seconds: float = 30.0) -> Json:
        """Wait until the record of an execution is complete, and return it."""
        path = next_file(self.data / "research_data", f"{execution_id}.json", within_seconds)
        give_up = time.monotonic() + within_seconds
        while not (record := json.loads(path.read_text()))["complete"]:
            assert time.monotonic() < give_up, f"incomplete: {record['missing']}"
            time.sleep(0.05)
        checked: Json = record
        return checked

    def remember(self) -> None:
        """Note how each service was started, so that it can be revived by hand."""
        for service, entry in self.run_file().items():
            process = psutil.Process(entry["pid"])
            self.starts[service] = (process.cmdline(), process.environ(), process)

    def kill(self, service: str) -> None:
        """Kill a service and wait for its end."""
        process = self.starts[service][2]
        process.kill()
        process.wait(timeout=10)

    def revive(self, service: str) -> None:
        """Start a service once more, as `up` had started it."""
        command, environment, _ = self.starts[service]
        with (self.data / "logs" / f"{service}.log").open("ab") as log:
            process = psutil.Popen(command, env=environment, stdout=log, stderr=log)
        self.starts[service] = (command, environment, process)

    def revive_the_dead(self) -> None:
        """Start again whatever does not run."""
        for service, (_, _, process) in list(self.starts.items()):
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                self.revive(service)

    def end_revived(self) -> None:
        """End what was started by hand, which `up` knows nothing of."""
        for _, _, process in self.starts.values():
            if isinstance(process, psutil.Popen):
                with process:
                    process.terminate()

    def stop(self) -> int:
        """Stop everything in order and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def next_file(folder: Path, name: str, within_seconds: float) -> Path:
    """Wait for a file of that name anywhere below a folder."""
    give_up = time.monotonic() + within_seconds
    while not (found := list(folder.rglob(name))):
        assert time.monotonic() < give_up, f"no {name} in {folder}"
        time.sleep(0.05)
    return found[0]


def console_path(data: Path) -> Path:
    """Return the file that takes what `up` prints."""
    return data.with_name(f"{data.name}.console")


@contextlib.contextmanager
def deployed(
    folder: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[Deployment]:
    """Run `stellwerk up` on free ports until the context ends.

    Args:
        folder: An empty folder; the data folder is made in it.
        options: Further options of `up`.
        environment: Settings of the services.
    """
    data = folder / "data"
    base_port = free_base_port()
    with console_path(data).open("wb") as console:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "stellwerk_cli", "up"),
                *("--data", str(data), "--base-port", str(base_port)),
                *options,
            ],
            env=os.environ | dict(environment or {}),
            cwd=folder,
            stdout=console,
            stderr=console,
        )
    with process:
        deployment = Deployment(data, base_port, process)
        try:
            _await_ready(deployment)
            yield deployment
        finally:
            _end(process)


def _await_ready(deployment: Deployment) -> None:
    give_up = time.monotonic() + START_SECONDS
    while "ready" not in deployment.console:
        said = "\n".join(deployment.console)
        assert deployment.process.poll() is None, f"`up` ended:\n{said}"
        assert time.monotonic() < give_up, f"`up` is not serving:\n{said}"
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop `up` and make sure that nothing it started is left for the next test."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def free_base_port() -> int:
    """Return the first of five free ports, below the range that outgoing connections take."""
    for _ in range(100):
        base = random.randrange(20_000, 32_000, 5)
        with contextlib.ExitStack() as probes:
            try:
                for port in range(base, base + 5):
                    probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise AssertionError("no five free ports in a row")


def assert_well_formed(record: Json) -> None:
    """Check what holds for every record: numbers, first item, exactly one terminal item, last."""
    items = record["items"]
    assert [item["sequence_number"] for item in items] == list(range(1, len(items) + 1))
    types = [item["item_type"] for item in items]
    assert types[0] == "pipeline_start"
    assert types[-1] in TERMINAL_ITEMS
    assert sum(one in TERMINAL_ITEMS for one in types) == 1
    assert record["complete"] is True
    assert record["missing"] == []


def items_of(record: Json, item_type: str) -> list[Json]:
    """Return the items of a type."""
    return [item for item in record["items"] if item["item_type"] == item_type]

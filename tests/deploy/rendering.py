"""The overlays as Kubernetes would get them."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = tuple(sorted(path.name for path in (ROOT / "deploy" / "overlays").iterdir()))
PORTS = {
    "orchestrator": 50051,
    "safety": 50052,
    "generation": 50053,
    "tracker": 50054,
    "gateway": 8080,
}
SERVICES = tuple(PORTS)

Manifest = dict[str, Any]


def rendered(overlay: str) -> tuple[Manifest, ...]:
    """Return the manifests of an overlay; skips the test where nothing can render them."""
    return rendered_from(ROOT / "deploy" / "overlays" / overlay)


@functools.cache
def rendered_from(folder: Path) -> tuple[Manifest, ...]:
    """Return the manifests of a folder; skips the test where nothing can render them."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    result = subprocess.run(
        [kubectl, "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "kustomize warns"
    return tuple(yaml.safe_load_all(result.stdout))


def of_kind(overlay: str, *kinds: str) -> list[Manifest]:
    """Return the manifests of these kinds."""
    return [manifest for manifest in rendered(overlay) if manifest["kind"] in kinds]


def workloads(overlay: str) -> list[Manifest]:
    """Return what makes pods that stay."""
    return of_kind(overlay, "Deployment", "StatefulSet", "DaemonSet")


def pods(overlay: str) -> dict[str, Manifest]:
    """Return the specs of all pods, those of jobs too, by the name of what makes them."""
    found = {one["metadata"]["name"]: one["spec"]["template"] for one in workloads(overlay)}
    for job in of_kind(overlay, "CronJob"):
        found[job["metadata"]["name"]] = job["spec"]["jobTemplate"]["spec"]["template"]
    return found


def containers(overlay: str) -> list[tuple[str, Manifest]]:
    """Return all containers with the name of what makes their pods."""
    return [
        (name, container)
        for name, pod in pods(overlay).items()
        for key in ("initContainers", "containers")
        for container in pod["spec"].get(key, ())
    ]


def environment(overlay: str, workload: str) -> dict[str, str]:
    """Return what the one container of a service is told; what is secret reads `secret`."""
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(overlay, "ConfigMap")}
    (container,) = pods(overlay)[workload]["spec"]["containers"]
    told: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        told |= maps[source["configMapRef"]["name"]]
    for variable in container.get("env", ()):
        told[variable["name"]] = variable.get("value", "secret")
    return told


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Tell whether a label selector fits labels."""
    fits = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    for rule in selector.get("matchExpressions", ()):
        assert rule["operator"] == "In", rule
        fits &= labels.get(rule["key"]) in rule["values"]
    return fits

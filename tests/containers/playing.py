"""From what Kubernetes gets to what `podman play kube` understands.

podman plays pods, maps and claims, but neither StatefulSets nor Services, and not everything
inside a pod. What is changed here is only what podman lacks; image, user, rights, disks, settings
and limits stay those of the overlay.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Play:
    """One pod to be played.

    Attributes:
        name: The pod's name, as Kubernetes would call it.
        workload: What it is a replica of.
        aliases: Names under which it is found, besides its own.
        manifests: What podman is given: maps and claims first, then the pod.
        volumes: The volumes that outlive it.
        probe: What Kubernetes would ask inside of it for readiness, as `servicekit.probe` does.
    """

    name: str
    workload: str
    aliases: tuple[str, ...]
    manifests: tuple[Manifest, ...]
    volumes: tuple[str, ...]
    probe: str


def plays(
    manifests: Iterable[Manifest],
    secrets: Mapping[str, Mapping[str, str]],
    folder: Path,
    prefix: str,
) -> list[Play]:
    """Say which pods an overlay makes.

    Args:
        manifests: What was rendered.
        secrets: What the secrets hold that the manifests refer to.
        folder: Has a folder per secret with a file per key, for those that are mounted.
        prefix: Put before names that belong to the whole machine: of pods and volumes.
    """
    of_kind: dict[str, dict[str, Manifest]] = {}
    for manifest in manifests:
        of_kind.setdefault(manifest["kind"], {})[manifest["metadata"]["name"]] = manifest
    found = []
    for kind in ("StatefulSet", "Deployment"):
        for workload in of_kind.get(kind, {}).values():
            for number in range(workload["spec"]["replicas"]):
                found.append(_play(workload, number, of_kind, secrets, folder, prefix))
    return found


def _play(
    workload: Manifest,
    number: int,
    of_kind: Mapping[str, Mapping[str, Manifest]],
    secrets: Mapping[str, Mapping[str, str]],
    folder: Path,
    prefix: str,
) -> Play:
    name = workload["metadata"]["name"]
    pod = copy.deepcopy(workload["spec"]["template"])
    pod |= {"apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] |= {"name": f"{prefix}{name}-{number}"}
    claims = _own_claims(workload, pod, of_kind, prefix, number)
    (service,) = pod["spec"]["containers"]
    probe = _probe(service)
    for container in pod["spec"]["containers"]:
        _say_plainly(container, _fields(workload, number), secrets)
    for volume in pod["spec"]["volumes"]:
        if "emptyDir" in volume:
            _rename(volume, f"{prefix}{name}-{number}-{volume['name']}", service)
        if "secret" in volume:
            path = folder / volume.pop("secret")["secretName"]
            volume["hostPath"] = {"path": str(path), "type": "Directory"}
    maps = [
        of_kind["ConfigMap"][source["configMapRef"]["name"]]
        for container in pod["spec"]["containers"]
        for source in container.get("envFrom", ())
    ]
    return Play(
        name=f"{prefix}{name}-{number}",
        workload=name,
        aliases=_aliases(workload, number, of_kind["Service"]),
        manifests=(*maps, *claims, pod),
        volumes=tuple(claim["metadata"]["name"] for claim in claims),
        probe=probe,
    )


def _rename(volume: Manifest, name: str, container: Manifest) -> None:
    """Call a volume otherwise: podman would share it among all pods that have one of its name."""
    for mount in container["volumeMounts"]:
        if mount["name"] == volume["name"]:
            mount["name"] = name
    volume["name"] = name


def _own_claims(
    workload: Manifest,
    pod: Manifest,
    of_kind: Mapping[str, Mapping[str, Manifest]],
    prefix: str,
    number: int,
) -> list[Manifest]:
    """Return the claims of one replica, and let its pod use them."""
    name, claims = workload["metadata"]["name"], []
    for template in workload["spec"].get("volumeClaimTemplates", ()):
        claim = copy.deepcopy(template) | {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
        volume = template["metadata"]["name"]
        claim["metadata"]["name"] = f"{prefix}{volume}-{name}-{number}"
        reference = {"claimName": claim["metadata"]["name"]}
        pod["spec"]["volumes"].append({"name": volume, "persistentVolumeClaim": reference})
        claims.append(claim)
    for volume in pod["spec"]["volumes"]:
        claim_name = volume.get("persistentVolumeClaim", {}).get("claimName", "")
        if claim_name in of_kind.get("PersistentVolumeClaim", {}):
            claim = copy.deepcopy(of_kind["PersistentVolumeClaim"][claim_name])
            claim["metadata"]["name"] = prefix + claim_name
            volume["persistentVolumeClaim"]["claimName"] = prefix + claim_name
            claims.append(claim)
    return claims


def _say_plainly(
    container: Manifest, fields: Mapping[str, str], secrets: Mapping[str, Mapping[str, str]]
) -> None:
    """Resolve what podman does not: references among variables. It would publish each port, too."""
    container.pop("ports", None)
    variables = []
    for variable in container.get("env", ()):
        reference = variable.get("valueFrom", {})
        if "secretKeyRef" in reference:
            wanted = reference["secretKeyRef"]
            value = secrets.get(wanted["name"], {}).get(wanted["key"])
            if value is None:
                assert wanted.get("optional"), f"there is no secret {wanted}"
                continue
            variables.append({"name": variable["name"], "value": value})
        elif "fieldRef" in reference:
            value = fields[reference["fieldRef"]["fieldPath"]]
            variables.append({"name": variable["name"], "value": value})
        else:
            value = variable["value"]
            for earlier in variables:
                value = value.replace(f"$({earlier['name']})", earlier["value"])
            variables.append({"name": variable["name"], "value": value})
    container["env"] = variables


def _fields(workload: Manifest, number: int) -> dict[str, str]:
    """Return what a replica is told of itself."""
    metadata = workload["metadata"]
    return {
        "metadata.name": f"{metadata['name']}-{number}",
        "metadata.namespace": metadata["namespace"],
    }


def _probe(container: Manifest) -> str:
    probe = container["readinessProbe"]
    if "grpc" in probe:
        return f"127.0.0.1:{probe['grpc']['port']}"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    page = probe["httpGet"]
    return f"http://127.0.0.1:{ports[page['port']]}{page['path']}"


def _aliases(workload: Manifest, number: int, services: Mapping[str, Manifest]) -> tuple[str, ...]:
    """Return the names that a cluster's DNS would have for one replica."""
    labels = workload["spec"]["template"]["metadata"]["labels"].items()
    names = [
        name for name, service in services.items() if service["spec"]["selector"].items() <= labels
    ]
    if governing := workload["spec"].get("serviceName"):
        fields = _fields(workload, number)
        names.append(f"{fields['metadata.name']}.{governing}.{fields['metadata.namespace']}.svc")
    return tuple(names)

"""How the manifests of an overlay fit each other, the services' settings and their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.settings import GatewaySettings
from generation_service.settings import GenerationSettings
from orchestrator.settings import OrchestratorSettings
from safety_service.settings import SafetySettings
from tests.deploy.rendering import (
    OVERLAYS,
    PORTS,
    SERVICES,
    environment,
    of_kind,
    pods,
    selects,
    workloads,
)
from tracker_service.settings import TrackerSettings

if TYPE_CHECKING:
    from servicekit.settings import ServiceSettings

SETTINGS: dict[str, type[ServiceSettings]] = {
    "orchestrator": OrchestratorSettings,
    "safety": SafetySettings,
    "generation": GenerationSettings,
    "tracker": TrackerSettings,
    "gateway": GatewaySettings,
}
SERVICE_OF = {"gpu-worker": "generation"}
A_SECRET = "postgresql://a-secret-of-more-than-thirty-two-characters"
CLOSING_SECONDS = 5.0
"""What a service takes at most to close its files, besides draining and its calls."""

pytestmark = pytest.mark.parametrize("overlay", OVERLAYS)


def read_settings(overlay: str, workload: str) -> ServiceSettings:
    """Read what an overlay tells a workload, as its service would."""
    service = SERVICE_OF.get(workload, workload)
    prefix = f"{service.upper()}_"
    told = environment(overlay, workload)
    named = {name.removeprefix(prefix).lower(): value for name, value in told.items()}
    values: dict[str, Any] = {
        name: A_SECRET if value == "secret" else value for name, value in named.items()
    }
    for name in (
        "pod_name",
        "pod_namespace",
        "forwarded_allow_ips",
    ):  # Kubernetes' and the HTTP server's
        values.pop(name, None)
    unknown = values.keys() - SETTINGS[service].model_fields.keys()
    assert not unknown, f"{service} knows no {unknown}"
    values.setdefault("listen_address", f"0.0.0.0:{PORTS[service]}")
    return SETTINGS[service](**values)


@pytest.mark.parametrize("service", SERVICES)
def test_settings_are_what_the_service_reads(overlay: str, service: str) -> None:
    """Each variable is a setting, each value valid, and nobody is let in without a credential."""
    settings = read_settings(overlay, service)
    assert settings.api_keys_file is not None
    assert settings.service_key is not None
    assert not settings.insecure


@pytest.mark.parametrize("service", SERVICES)
def test_pods_end_after_their_services(overlay: str, service: str) -> None:
    """Kubernetes waits for longer than the drain, the last calls and the closing take."""
    settings = read_settings(overlay, service)
    assert settings.drain_seconds > 0
    takes = settings.drain_seconds + settings.grace_seconds + CLOSING_SECONDS
    takes += getattr(settings, "finish_seconds", 0.0)
    if getattr(settings, "queue", "") == "jetstream" and getattr(settings, "role", "") != "api":
        takes += settings.model_dump()["worker_drain_seconds"]
    assert pods(overlay)[service]["spec"]["terminationGracePeriodSeconds"] > takes


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "gateway"])
def test_grpc_services_are_probed_by_grpc(overlay: str, service: str) -> None:
    """Liveness asks for nothing in particular, readiness for `readiness`, at a port without TLS."""
    settings = read_settings(overlay, service)
    address = settings.probe_address or f"0.0.0.0:{PORTS[service]}"
    (container,) = pods(overlay)[service]["spec"]["containers"]
    port = int(address.rpartition(":")[2])
    assert container["livenessProbe"]["grpc"] == {"port": port}
    assert container["startupProbe"]["grpc"] == {"port": port}
    assert container["readinessProbe"]["grpc"] == {"port": port, "service": "readiness"}


def test_workers_do_for_generation_what_it_is_told_to_have_done(overlay: str) -> None:
    """They share its queue, media and volume, drive what it does not, and end after their jobs."""
    if "gpu-worker" not in pods(overlay):
        return
    api, worker = (
        read_settings(overlay, name).model_dump() for name in ("generation", "gpu-worker")
    )
    assert (api["role"], worker["role"]) == ("api", "worker")
    differs = {name for name, value in api.items() if worker[name] != value}
    of_workers = {"role", "worker_slots", "worker_drain_seconds", "comfyui_workers"}
    assert differs <= {*of_workers, "openai_api_key"}  # workers ask for no texts
    assert worker["comfyui_workers"]
    pod = pods(overlay)["gpu-worker"]["spec"]
    takes = worker["drain_seconds"] + worker["worker_drain_seconds"] + worker["grace_seconds"]
    assert pod["terminationGracePeriodSeconds"] > takes + CLOSING_SECONDS
    (own,), (generations,) = (
        pods(overlay)[name]["spec"]["containers"] for name in ("gpu-worker", "generation")
    )
    for key in ("image", "startupProbe", "livenessProbe", "readinessProbe", "securityContext"):
        assert own[key] == generations[key], key


def test_the_gateway_is_probed_by_http(overlay: str) -> None:
    """It speaks HTTP, and says by itself whether it may take requests."""
    (container,) = pods(overlay)["gateway"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


@pytest.mark.parametrize("service", SERVICES)
def test_neighbours_are_found_and_taken_in_turns(overlay: str, service: str) -> None:
    """Each address names a headless Service with that port, so a channel knows all replicas."""
    services = {one["metadata"]["name"]: one["spec"] for one in of_kind(overlay, "Service")}
    settings = read_settings(overlay, service)
    for neighbour, port in PORTS.items():
        address = getattr(settings, f"{neighbour}_address", None)
        if address is None:
            continue
        assert address == f"dns:///{neighbour}:{port}"
        assert services[neighbour]["clusterIP"] == "None"
        assert [one["port"] for one in services[neighbour]["ports"]] == [port]


def test_orchestrators_reach_each_other_while_they_drain(overlay: str) -> None:
    """The owner of a run is found under its pod's name, ready or not."""
    (owner,) = [one for one in workloads(overlay) if one["metadata"]["name"] == "orchestrator"]
    assert owner["kind"] == "StatefulSet"
    governing = owner["spec"]["serviceName"]
    told = environment(overlay, "orchestrator")["ORCHESTRATOR_OWNER_ADDRESS"]
    assert told == f"$(POD_NAME).{governing}.$(POD_NAMESPACE).svc:{PORTS['orchestrator']}"
    (service,) = [
        one for one in of_kind(overlay, "Service") if one["metadata"]["name"] == governing
    ]
    assert service["spec"]["publishNotReadyAddresses"] is True


def test_certificates_are_for_the_names_that_are_called(overlay: str) -> None:
    """With TLS each service has one for its name, the orchestrators for their pods, too."""
    names = {
        it["metadata"]["name"]: set(it["spec"].get("dnsNames", ()))
        for it in of_kind(overlay, "Certificate")
    }
    if not names:
        return
    assert all(service in names[service] for service in SERVICES)
    (namespace,) = of_kind(overlay, "Namespace")
    pods_of_ours = f"*.orchestrator-replicas.{namespace['metadata']['name']}.svc"
    assert pods_of_ours in names["orchestrator"]


def test_what_must_not_be_lost_is_on_a_volume(overlay: str) -> None:
    """Spool and ledger of media survive their pods; so do records, unless a server has them."""
    kept = {
        one["metadata"]["name"]
        for one in workloads(overlay)
        if one["spec"].get("volumeClaimTemplates")
        or any("persistentVolumeClaim" in it for it in one["spec"]["template"]["spec"]["volumes"])
    }
    needed = {"orchestrator"}
    for service, database in (
        ("tracker", "TRACKER_DATABASE_URL"),
        ("generation", "GENERATION_MEDIA_DATABASE_URL"),
    ):
        if database not in environment(overlay, service):
            needed.add(service)
    assert kept & set(SERVICES) == needed


def test_one_writer_is_never_two(overlay: str) -> None:
    """SQLite has one tracker; a queue in the process has one that is ended before the next."""
    by_name = {one["metadata"]["name"]: one["spec"] for one in workloads(overlay)}
    if "TRACKER_DATABASE_URL" not in environment(overlay, "tracker"):
        assert by_name["tracker"]["replicas"] == 1
    if environment(overlay, "generation").get("GENERATION_QUEUE") != "jetstream":
        assert by_name["generation"]["replicas"] == 1
        assert by_name["generation"]["strategy"] == {"type": "Recreate"}
    else:
        assert by_name["generation"]["strategy"] == {"type": "RollingUpdate"}


def test_machines_can_be_emptied_one_by_one(overlay: str) -> None:
    """Each workload has a disruption budget that fits its pods, and is spread over machines."""
    budgets = [one["spec"] for one in of_kind(overlay, "PodDisruptionBudget")]
    for workload in workloads(overlay):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        fitting = [one for one in budgets if selects(one["selector"], labels)]
        assert len(fitting) == 1, workload["metadata"]["name"]
        assert fitting[0]["maxUnavailable"] == 1
        if workload["metadata"]["name"] in SERVICES:
            spread = workload["spec"]["template"]["spec"]["topologySpreadConstraints"]
            assert {one["topologyKey"] for one in spread} >= {"kubernetes.io/hostname"}
            assert all(selects(one["labelSelector"], labels) for one in spread)


def test_changed_settings_restart_the_service(overlay: str) -> None:
    """Settings are in maps whose name says their content, so a change is a rolling restart."""
    for service in SERVICES:
        (container,) = pods(overlay)[service]["spec"]["containers"]
        (source,) = container["envFrom"]
        assert source["configMapRef"]["name"].startswith(f"{service}-")

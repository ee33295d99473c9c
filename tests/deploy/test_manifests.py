"""What holds for each manifest by itself, in every overlay."""

from __future__ import annotations

import functools
import json

import kubernetes_validate
import pytest

from tests.deploy.rendering import OVERLAYS, SERVICES, containers, of_kind, pods, rendered

VERSIONS = ("1.32", "1.37")
"""The oldest Kubernetes that is still supported by its large providers, and the newest."""
OTHERS_KINDS = {"Issuer", "Certificate", "ScaledObject"}
"""Kinds of cert-manager and KEDA, whose schemas are not Kubernetes' own."""

pytestmark = pytest.mark.parametrize("overlay", OVERLAYS)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid(overlay: str, version: str) -> None:
    """Each manifest is one of that Kubernetes version, without a field that it does not know."""
    known = [each for each in rendered(overlay) if each["kind"] not in OTHERS_KINDS]
    faults = [fault for each in known if (fault := fault_of(json.dumps(each), version))]
    assert known
    assert not faults


@functools.cache
def fault_of(manifest: str, version: str) -> str:
    """Hold a manifest against a version; overlays share most of theirs."""
    try:
        kubernetes_validate.validate(json.loads(manifest), version, strict=True)
    except kubernetes_validate.ValidationError as exc:
        return f"{manifest[:200]}: {exc}"
    return ""


def test_everything_is_in_one_namespace(overlay: str) -> None:
    """Nothing lands beside the deployment, where its policies would not count."""
    (namespace,) = of_kind(overlay, "Namespace")
    for manifest in rendered(overlay):
        if manifest is not namespace:
            assert manifest["metadata"]["namespace"] == namespace["metadata"]["name"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_pod_has_a_right_that_it_does_not_need(overlay: str) -> None:
    """Each runs as nobody, on a read-only disk, with no capability and no token of the cluster."""
    for name, pod in pods(overlay).items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] >= 10_000, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        assert not [volume for volume in spec["volumes"] if "hostPath" in volume], name
    for name, container in containers(overlay):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name


def test_every_container_has_limits_and_a_fixed_image(overlay: str) -> None:
    """A container says what it needs and at most takes, and which version it is."""
    for name, container in containers(overlay):
        for key in ("requests", "limits"):
            assert container["resources"][key].keys() >= {"cpu", "memory"}, name
        image, _, tag = container["image"].rpartition(":")
        assert image, f"{name} has no tag"
        assert tag != "latest"
        assert "/" in image, f"{name} does not say which registry"


def test_secrets_are_only_referred_to(overlay: str) -> None:
    """No manifest holds a secret, and no setting that is one has a value."""
    assert of_kind(overlay, "Secret") == []
    for name, container in containers(overlay):
        for variable in container.get("env", ()):
            if any(word in variable["name"] for word in ("KEY", "SECRET", "PASSWORD", "TOKEN")):
                assert "value" not in variable, f"{name}: {variable['name']}"


def test_every_service_is_there(overlay: str) -> None:
    """No overlay forgets one of the five."""
    assert set(SERVICES) <= pods(overlay).keys()

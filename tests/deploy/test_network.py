"""Who can reach whom, by the network policies alone."""

from __future__ import annotations

import pytest

from tests.deploy.rendering import (
    OVERLAYS,
    PORTS,
    SERVICES,
    Manifest,
    containers,
    environment,
    of_kind,
    pods,
    selects,
)

pytestmark = pytest.mark.parametrize("overlay", OVERLAYS)


def labels_of(overlay: str, name: str) -> dict[str, str]:
    """Return the labels of a workload's pods."""
    labels: dict[str, str] = pods(overlay)[name]["metadata"]["labels"]
    return labels


def allows(overlay: str, caller: str, target: str, port: int) -> bool:
    """Tell whether the policies let `caller` out to, and in at, a port of `target`."""
    out = _ways(overlay, caller, target, port, "egress", "to")
    into = _ways(overlay, target, caller, port, "ingress", "from")
    return out and into


def _ways(overlay: str, of: str, peer: str, port: int, way: str, side: str) -> bool:
    labels, others = labels_of(overlay, of), labels_of(overlay, peer)
    for policy in of_kind(overlay, "NetworkPolicy"):
        spec = policy["spec"]
        if not selects(spec["podSelector"], labels):
            continue
        for rule in spec.get(way, ()):
            if _fits(rule.get(side), others) and port in [it["port"] for it in rule["ports"]]:
                return True
    return False


def _fits(peers: list[Manifest] | None, labels: dict[str, str]) -> bool:
    if peers is None:
        return True
    return any(
        selects(peer["podSelector"], labels)
        for peer in peers
        if "podSelector" in peer and "namespaceSelector" not in peer
    )


def test_nothing_is_allowed_by_default(overlay: str) -> None:
    """One policy holds for every pod and allows nothing, in or out."""
    nothing = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert nothing in [policy["spec"] for policy in of_kind(overlay, "NetworkPolicy")]


def test_services_reach_exactly_those_that_they_are_told_of(overlay: str) -> None:
    """The policies allow each address of the settings, and no other way between services."""
    for caller in SERVICES:
        told = environment(overlay, caller)
        for target in PORTS:
            needed = f"{caller.upper()}_{target.upper()}_ADDRESS" in told
            needed |= caller == target == "orchestrator"  # replicas ask each other
            allowed = allows(overlay, caller, target, PORTS[target])
            # Browsers come from anywhere, so the gateway's door is open; nobody gets out to it.
            assert allowed == needed, f"{caller} to {target}"


def test_exactly_those_reach_the_database_that_are_told_of_it(overlay: str) -> None:
    """Who has the address of PostgreSQL gets there, and nobody else."""
    if "postgres" not in pods(overlay):
        return
    for name, container in containers(overlay):
        told = {it["name"] for it in container.get("env", ())}
        needed = any(it.endswith("DATABASE_URL") for it in told)
        assert allows(overlay, name, "postgres", 5432) == needed, name


def test_only_the_ingress_reaches_a_gateway_that_believes_it(overlay: str) -> None:
    """Where forwarded addresses are believed, nobody else can come and invent some."""
    if "FORWARDED_ALLOW_IPS" not in environment(overlay, "gateway"):
        return
    (policy,) = [
        it for it in of_kind(overlay, "NetworkPolicy") if it["metadata"]["name"] == "gateway"
    ]
    (rule,) = policy["spec"]["ingress"]
    namespaces = [it["namespaceSelector"]["matchLabels"] for it in rule["from"]]
    assert namespaces == [{"kubernetes.io/metadata.name": "ingress-nginx"}]


def test_only_what_calls_models_gets_out(overlay: str) -> None:
    """No service but generation may open a connection to an address outside the cluster."""
    for name in pods(overlay):
        labels = labels_of(overlay, name)
        out = [
            peer
            for policy in of_kind(overlay, "NetworkPolicy")
            if selects(policy["spec"]["podSelector"], labels)
            for rule in policy["spec"].get("egress", ())
            for peer in rule["to"]
            if "ipBlock" in peer
        ]
        assert bool(out) == (labels.get("stellwerk-calls-models") == "true"), name
        assert all(
            "169.254.0.0/16" in it["ipBlock"]["except"]
            for it in out
            if "." in it["ipBlock"]["cidr"]
        )

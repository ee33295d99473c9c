"""The guides for those who run it, held against what they are about."""

from __future__ import annotations

import re

from tests.deploy.rendering import OVERLAYS, ROOT, Manifest, containers, of_kind, pods

GUIDES = ROOT / "docs" / "operations"


def secrets_of(overlay: str) -> set[tuple[str, str]]:
    """Return each secret that an overlay refers to, with the key where one is named."""
    found = set()
    for _, container in containers(overlay):
        for variable in container.get("env", ()):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                found.add((reference["name"], reference["key"]))
    for pod in pods(overlay).values():
        for volume in pod["spec"]["volumes"]:
            if "secret" in volume:
                found.add((volume["secret"]["secretName"], ""))
    for ingress in of_kind(overlay, "Ingress"):
        found |= {(one["secretName"], "") for one in ingress["spec"]["tls"]}
    return found


def made_by_cert_manager(overlay: str) -> set[str]:
    """Return the secrets that nobody has to make."""
    certificates: list[Manifest] = of_kind(overlay, "Certificate")
    return {one["spec"]["secretName"] for one in certificates}


def test_every_secret_is_in_the_guide() -> None:
    """Whoever follows the table has made all that any overlay refers to, and nothing else."""
    section = (GUIDES / "README.md").read_text().partition("## Secrets")[2].partition("## ")[0]
    table = dict(re.findall(r"^\| `(stellwerk-[a-z-]+)` \| (.*?) \|", section, re.M))
    needed = {
        (name, key)
        for overlay in OVERLAYS
        for name, key in secrets_of(overlay)
        if name not in made_by_cert_manager(overlay)
    }
    assert {name for name, _ in needed} == table.keys()
    for name, key in needed:
        assert not key or f"`{key}`" in table[name], f"{name}: {key}"


def test_every_overlay_has_its_guide() -> None:
    """Each says how to start, back up, restore, upgrade and roll back."""
    index = (GUIDES / "README.md").read_text()
    for overlay in OVERLAYS:
        guide = (GUIDES / f"{overlay}.md").read_text().lower()
        assert f"({overlay}.md)" in index
        for word in ("## start", "back up", "restore", "upgrade", "roll back"):
            assert word in guide, f"{overlay}.md says nothing of: {word}"

"""The guides for those who run it, held against what they are about."""

from __future__ import annotations

import re
import shutil
import textwrap
import tomllib
from typing import TYPE_CHECKING

import kubernetes_validate
import pytest
import yaml

from tests.deploy.rendering import (
    OVERLAYS,
    ROOT,
    Manifest,
    containers,
    of_kind,
    pods,
    rendered_from,
)
from tests.deploy.test_manifests import VERSIONS

if TYPE_CHECKING:
    from pathlib import Path

GUIDES = ROOT / "docs" / "operations"
TOOLS = ROOT / "deploy" / "tools"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


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


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_overlay_on_top_renders_as_the_guide_has_it(overlay: str, tmp_path: Path) -> None:
    """What a guide gives to copy is an overlay that renders, and changes what it says."""
    guide = (GUIDES / f"{overlay}.md").read_text()
    (block,) = re.findall(
        r"^ *```yaml\n *# deploy/overlays/ours.*?\n(.*?)^ *```", guide, re.M | re.S
    )
    ours = textwrap.dedent(block)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    folder = tmp_path / "deploy" / "overlays" / "ours"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(ours)
    result = yaml.safe_dump_all(rendered_from(folder))
    told = yaml.safe_load(ours)
    for image in told.get("images", ()):
        assert f"image: {image['newName']}:" in result
    for generated in told["configMapGenerator"]:
        for literal in generated["literals"]:
            name, _, value = literal.partition("=")
            assert f"{name}: {value}\n" in result
    for patched in re.findall(r"value: \"?([^\"{}]+)\"?}", ours):
        assert patched in result


@pytest.mark.parametrize("tool", sorted(path.name for path in TOOLS.glob("*.yaml")))
def test_tools_are_let_into_a_restricted_namespace(tool: str) -> None:
    """A pod that a guide starts by hand is valid, has no right, and is one of this version."""
    pod = yaml.safe_load((TOOLS / tool).read_text())
    for version in VERSIONS:
        kubernetes_validate.validate(pod, version, strict=True)
    assert pod["metadata"]["namespace"] == "stellwerk"
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["image"] == f"localhost/stellwerk-cli:{VERSION}"
    named = "".join(path.read_text() for path in GUIDES.glob("*.md"))
    assert f"deploy/tools/{tool}" in named

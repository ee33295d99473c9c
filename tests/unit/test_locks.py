"""The locks: complete, hashed, and the same on every machine."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {
    "gateway",
    "orchestrator",
    "safety_service",
    "generation_service",
    "tracker_service",
    "servicekit",
    "stellwerk",
    "stellwerk_client",
    "stellwerk_cli",
}
NAMESPACES = {"google"}  # shared by several distributions
OF_SERVERS = {"cli": ROOT / "servicekit" / "opentelemetry.py"}
"""Imported only where somebody serves and sends traces."""
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


def pins(lock: Path) -> set[tuple[str, str]]:
    """Return pairs of name and version; a name may have one version per platform or Python."""
    return set(re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_requirement_has_a_hash(lock: Path) -> None:
    """Each requirement is followed by hashes, and no index, URL or path is named."""
    blocks = re.split(r"\n(?=\S)", lock.read_text())
    requirements = [block for block in blocks if not block.startswith("#")]
    assert requirements
    assert [block for block in requirements if "--hash=sha256:" not in block] == []
    assert not re.search(r"://|--index|--find-links|file:|@ ", lock.read_text())


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_all_locks_agree(lock: Path) -> None:
    """What runs is what was tested: the same versions as in the developers' lock."""
    assert pins(lock) <= pins(ROOT / "requirements" / "dev.lock")


def test_the_lock_knows_every_dependency() -> None:
    """A dependency added to pyproject.toml without `make lock` is noticed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += [one for one in extra if not one.startswith("stellwerk[")]
    names = {re.split(r"[\[<>=!~ ;]", one)[0] for one in wanted}
    assert names <= {name for name, _ in pins(ROOT / "requirements" / "dev.lock")}


def imported_distributions(folder: Path, never: Path | None) -> set[str]:
    """Return the distributions that the modules below `folder`, but one, import directly."""
    known = metadata.packages_distributions()
    names: set[str] = set()
    for path in set(folder.rglob("*.py")) - {never}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    third_party = names - sys.stdlib_module_names - OURS
    return {
        re.sub(r"[-_.]+", "-", distribution).lower()
        for name in third_party
        for distribution in known.get(name, [name])
        if name not in NAMESPACES
    }


@pytest.mark.parametrize(
    ("lock", "folders"),
    [
        ("orchestrator", ["orchestrator", "stellwerk_client"]),
        ("safety", ["safety_service"]),
        ("generation-embedded", ["generation_service"]),
        ("tracker", ["tracker_service"]),
        ("cli", ["stellwerk_cli", "stellwerk_client", "orchestrator/configs", "safety_service"]),
    ],
)
def test_an_image_holds_what_its_code_imports(lock: str, folders: list[str]) -> None:
    """A service imports nothing that the lock of its image lacks, be it there by chance or not."""
    installed = {name for name, _ in pins(ROOT / "requirements" / f"{lock}.lock")}
    for folder in ["servicekit", *folders]:
        imported = imported_distributions(ROOT / folder, OF_SERVERS.get(lock))
        assert imported - installed == set(), folder

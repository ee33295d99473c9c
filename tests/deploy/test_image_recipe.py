"""The recipe of the images, before anything is built."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = (ROOT / "Dockerfile").read_text()
STAGES = {
    match[1]: match[2]
    for match in re.finditer(r"^FROM runtime AS (\w+)\n(.*?)(?=^FROM )", RECIPE, re.DOTALL | re.M)
}
CODE = {
    "orchestrator": {"orchestrator", "stellwerk_client"},
    "safety": {"safety_service"},
    "generation": {"generation_service"},
    "tracker": {"tracker_service"},
    "gateway": {"gateway"},
}


def test_hadolint_finds_nothing() -> None:
    """The recipe keeps the rules of the trade."""
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run(
        [hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("service", CODE)
def test_an_image_holds_the_code_of_one_service(service: str) -> None:
    """Besides what all share, each image has its own package, and no neighbour's."""
    copied = re.findall(r"^COPY (\w+) ", STAGES[service], re.M)
    assert {name for name in copied if name != "configs"} == CODE[service]


def test_images_are_of_the_projects_version() -> None:
    """What an image says of itself is what the project says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert re.findall(r"^ARG VERSION=(.*)$", RECIPE, re.M) == [project["version"]]


def test_every_lock_of_an_image_is_there() -> None:
    """`make images` builds from locks that exist."""
    (line,) = re.findall(r"^IMAGES \?= (.*)$", (ROOT / "Makefile").read_text(), re.M)
    for service in line.split():
        assert (ROOT / "requirements" / f"{service}.lock").is_file()
        assert re.search(rf"^FROM \w+ AS {service}$", RECIPE, re.M)

"""The image that ours are built on; without a registry a stand-in of the same shape.

Where neither the registry nor a Debian mirror answers, nothing can be built, and the tests say so.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.containers.engine import attempt, podman

BASE = "docker.io/library/python:3.11-slim"
PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"
SUITE = "bookworm"
"""The Debian whose Python is 3.11."""


def provide() -> None:
    """Have the base image here, or skip the test with what is missing."""
    if attempt("image", "exists", BASE).returncode == 0:
        return
    if attempt("pull", "--quiet", BASE, seconds=300).returncode == 0:
        return
    if shutil.which("debootstrap") is None:
        pytest.skip(f"{BASE} cannot be pulled, and debootstrap is not installed")
    with tempfile.TemporaryDirectory(prefix="stellwerk-base-") as folder:
        _make(Path(folder) / "root")


def _make(root: Path) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if result.returncode:
        pytest.skip(f"{BASE} cannot be pulled, and debootstrap failed: {result.stderr[-200:]}")
    for name in ("python", "python3"):
        (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    for unread in ("var/lib/apt/lists", "var/cache/apt", "usr/share/doc", "usr/share/locale"):
        shutil.rmtree(root / unread)
    archive = shutil.make_archive(str(root), "tar", root)
    podman("import", "--quiet", "--change", 'CMD ["python3"]', archive, BASE, seconds=300)

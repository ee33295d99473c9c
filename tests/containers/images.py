"""The images, built as `make images` builds them."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

from tests.containers.base_image import provide
from tests.containers.engine import environment

ROOT = Path(__file__).resolve().parents[2]
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BUILD_SECONDS = 1800.0
# Builds believe whom this machine believes, and look for packages where it does.
TRUSTED = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")


def image(service: str) -> str:
    """Return the name of an image, such as that of `generation-embedded`."""
    return f"localhost/stellwerk-{service}:{VERSION}"


def build() -> None:
    """Build all images; skips the test where the image below them cannot be had.

    `E2E_IMAGES=built` uses those that `make images` has made before.
    """
    if os.environ.get("E2E_IMAGES") == "built":
        return
    provide()
    mounts = [f"--volume {path}:{path}:ro" for path in TRUSTED if Path(path).exists()]
    flags = " ".join(["--format docker --timestamp 0 --isolation chroot", *mounts])
    result = subprocess.run(
        ["make", "images", f"BUILD_FLAGS={flags}"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]

"""podman, as these tests use it: each call ends in time, and says what it ran when it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
CALL_SECONDS = 120.0


class PodmanError(Exception):
    """A call of podman failed; its text is what it printed."""


def is_there() -> bool:
    """Tell whether podman can be used here."""
    return shutil.which("podman") is not None


def environment() -> dict[str, str]:
    """Return the environment of podman: containers are made the same way everywhere."""
    return os.environ | {"CONTAINERS_CONF": str(HERE / "containers.conf")}


def podman(*arguments: str, given: str = "", seconds: float = CALL_SECONDS) -> str:
    """Run podman and return what it prints.

    Args:
        arguments: The command.
        given: Its standard input.
        seconds: Give up after this.

    Raises:
        PodmanError: It failed.
    """
    result = attempt(*arguments, given=given, seconds=seconds)
    if result.returncode:
        raise PodmanError(f"podman {' '.join(arguments)}: {result.stderr or result.stdout}")
    return result.stdout


def attempt(
    *arguments: str, given: str = "", seconds: float = CALL_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run podman and return how it ended, well or not."""
    return subprocess.run(
        ["podman", *arguments],
        input=given,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=seconds,
        check=False,
    )

"""The version of this software, for records, exports and whoever asks."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, version

VERSION_KEY = "stellwerk-version"
"""Trailing metadata of health checks: which version answers."""


@functools.cache
def software_version() -> str:
    """Return the version of the installed project; `unknown` where it is not installed."""
    try:
        return version("stellwerk")
    except PackageNotFoundError:
        return "unknown"

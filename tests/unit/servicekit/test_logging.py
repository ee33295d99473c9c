"""Logging never gets in the way of what is logged about."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LOGS_AND_GOES_ON = """
import logging, structlog, sys
from servicekit.logging import configure_logging

configure_logging("probe")
for _ in range(3):
    structlog.get_logger().info("something_happened", text="x" * 10_000)
    logging.getLogger("somebody").error("else")
print("went on", file=sys.stderr)
"""


def test_a_full_disk_under_the_log_costs_lines_only() -> None:
    """A process whose standard output takes nothing goes on as if it did."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", LOGS_AND_GOES_ON],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert "went on" in done.stderr

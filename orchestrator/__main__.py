"""Runs the orchestrator: `python -m orchestrator`."""

from __future__ import annotations

import asyncio

from orchestrator.service import registration
from orchestrator.settings import OrchestratorSettings
from servicekit.collector import spare_collector
from servicekit.logging import configure_logging
from servicekit.server import serve
from servicekit.settings import load_settings


def main() -> None:
    """Read the settings, configure logging, serve until SIGTERM."""
    settings = load_settings(OrchestratorSettings)
    configure_logging("orchestrator", settings.log_level)
    spare_collector()
    asyncio.run(serve(settings, registration(settings)))


if __name__ == "__main__":
    main()

"""Runs the tracker: `python -m tracker_service`."""

from __future__ import annotations

import asyncio

from servicekit.collector import spare_collector
from servicekit.logging import configure_logging
from servicekit.server import serve
from servicekit.settings import load_settings
from tracker_service.service import registration
from tracker_service.settings import TrackerSettings


def main() -> None:
    """Serve until told to stop."""
    settings = load_settings(TrackerSettings)
    configure_logging("tracker", settings.log_level)
    spare_collector()
    asyncio.run(serve(settings, registration(settings)))


if __name__ == "__main__":
    main()

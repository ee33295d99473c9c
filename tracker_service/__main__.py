"""Runs the tracker: `python -m tracker_service`."""

from __future__ import annotations

import asyncio
import gc
from typing import Final

from servicekit.logging import configure_logging
from servicekit.server import serve
from servicekit.settings import load_settings
from tracker_service.service import registration
from tracker_service.settings import TrackerSettings

COLLECT_AFTER: Final = 50_000
"""New objects after which cycles are looked for; the usual 700 are less than one large batch."""


def main() -> None:
    """Serve until told to stop."""
    settings = load_settings(TrackerSettings)
    configure_logging("tracker", settings.log_level)
    spare_collector()
    asyncio.run(serve(settings, registration(settings)))


def spare_collector() -> None:
    """Let the garbage collector leave alone what is loaded; that was a fifth of recording."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20)


if __name__ == "__main__":
    main()

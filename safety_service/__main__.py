"""Runs the safety service: `python -m safety_service`."""

from __future__ import annotations

import asyncio

from safety_service.service import registration
from safety_service.settings import SafetySettings
from servicekit.logging import configure_logging
from servicekit.server import serve
from servicekit.settings import load_settings


def main() -> None:
    """Serve until told to stop."""
    settings = load_settings(SafetySettings)
    configure_logging("safety", settings.log_level)
    asyncio.run(serve(settings, registration(settings)))


if __name__ == "__main__":
    main()

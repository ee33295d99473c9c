"""Runs the generation service: `python -m generation_service`."""

from __future__ import annotations

import asyncio

from generation_service.service import registration
from generation_service.settings import GenerationSettings
from servicekit.logging import configure_logging
from servicekit.server import serve
from servicekit.settings import load_settings


def main() -> None:
    """Serve until told to stop."""
    settings = load_settings(GenerationSettings)
    configure_logging("generation", settings.log_level)
    asyncio.run(serve(settings, registration(settings)))


if __name__ == "__main__":
    main()

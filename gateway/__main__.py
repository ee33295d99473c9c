"""Runs the gateway: `python -m gateway`."""

from __future__ import annotations

import asyncio

from gateway.server import serve
from gateway.settings import GatewaySettings
from servicekit.logging import configure_logging
from servicekit.settings import load_settings


def main() -> None:
    """Read the settings, configure logging, serve until SIGTERM."""
    settings = load_settings(GatewaySettings)
    configure_logging("gateway", settings.log_level)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()

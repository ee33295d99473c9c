"""A service of a few lines, for tests of the supervisor: real health, real drain, no weights."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from pydantic_settings import SettingsConfigDict

from servicekit.server import serve
from servicekit.settings import ServiceSettings, load_settings

if TYPE_CHECKING:
    import grpc

    from servicekit.server import Owned


class TinySettings(ServiceSettings):
    """Settings of the tiny service."""

    model_config = SettingsConfigDict(env_prefix="TINY_", frozen=True)


async def register(_server: grpc.aio.Server, owned: Owned) -> tuple[str, ...]:
    """Own nothing but a line in the log at the end."""
    owned.callback(print, "tiny service closed", flush=True)
    return ()


if __name__ == "__main__":
    if fault := os.environ.get("TINY_FAULT"):
        print(fault, file=sys.stderr)
        raise SystemExit(78)
    asyncio.run(serve(load_settings(TinySettings), register))

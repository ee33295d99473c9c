"""A service whose one call only ends while it is being stopped; run by test_server.py."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from servicekit.logging import configure_logging
from servicekit.server import Owned, serve
from servicekit.settings import ServiceSettings, load_settings
from tests.unit.servicekit.probe import probe

if TYPE_CHECKING:
    import grpc


async def main() -> None:
    """Serve until SIGTERM."""
    finish = asyncio.Event()

    async def wait(context: Any) -> None:
        print("call running", flush=True)
        await finish.wait()

    async def register(server: grpc.aio.Server, owned: Owned) -> list[str]:
        async def before_stop() -> None:
            print("before stop", flush=True)
            finish.set()

        owned.callback(print, "closed what was opened first", flush=True)
        owned.callback(print, "closed what was opened last", flush=True)
        owned.before_stop(before_stop)
        return list(await probe(wait)(server, owned))

    configure_logging("stopping")
    await serve(load_settings(ServiceSettings), register)


if __name__ == "__main__":
    asyncio.run(main())

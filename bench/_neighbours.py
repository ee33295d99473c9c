"""Safety, generation and a model that answers at once, in a process beside the orchestrator's.

`python -m bench._neighbours FOLDER` prints their addresses as JSON and ends with its stdin.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import structlog

from generation_service.service import registration as generation
from generation_service.settings import GenerationSettings
from safety_service.service import registration as safety
from safety_service.settings import SafetySettings
from servicekit.server import start_server
from tests.fakes.ollama import FakeOllama


async def serve(folder: Path) -> None:
    """Serve until nobody holds the other end of stdin."""
    local: dict[str, Any] = {"listen_address": "127.0.0.1:0", "grace_seconds": 1.0}
    async with FakeOllama("Eine Blume tanzt.") as ollama:
        generating = GenerationSettings(
            data_dir=folder,
            models_profile="local",
            ollama_url=ollama.url,
            embedded_preload=False,
            **local,
        )
        async with start_server(generating, generation(generating)) as generation_server:
            checking = SafetySettings(generation_address=generation_server.address, **local)
            async with start_server(checking, safety(checking)) as safety_server:
                addresses = {
                    "safety": safety_server.address,
                    "generation": generation_server.address,
                }
                print(json.dumps(addresses), flush=True)
                await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(serve(Path(sys.argv[1])))

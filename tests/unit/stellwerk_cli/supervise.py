"""Supervise tiny services until killed; started by a test as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from stellwerk_cli.supervisor import Supervisor
from tests.unit.stellwerk_cli.tiny import specs_in


async def main(data: Path) -> None:
    """Start the services and wait for ever."""
    supervisor = Supervisor(specs_in(data), data, restart=True, report=lambda _spec, _words: None)
    await supervisor.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

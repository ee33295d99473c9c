"""`python -m tests.fakes.comfyui --port 8188 --switch step_seconds=0.5`: a server by itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from tests.fakes.comfyui.process import ControlledServer
from tests.fakes.comfyui.random_faults import RandomFaults
from tests.fakes.comfyui.switches import Switches


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.comfyui", description=__doc__)
    parser.add_argument("--port", type=int, default=8188, help="0: any free one")
    parser.add_argument("--base", type=Path, help="folder for input, output and temp")
    parser.add_argument(
        "--switch", action="append", default=[], metavar="NAME=VALUE", help="may be repeated"
    )
    parser.add_argument(
        "--model", action="append", default=[], metavar="FOLDER/FILE", help="may be repeated"
    )
    parser.add_argument("--random", type=int, metavar="SEED", help="flip all fault switches")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace, switches: Switches) -> None:
    models: dict[str, list[str]] = {}
    for model in arguments.model:
        folder, _, name = model.partition("/")
        models.setdefault(folder, []).append(name)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    server = ControlledServer(
        switches, base=arguments.base, port=arguments.port, models=models or None
    )
    async with server:
        sys.stdout.write(json.dumps({"url": server.url}) + "\n")
        sys.stdout.flush()
        if arguments.random is None:
            await stop.wait()
            return
        async with RandomFaults(server, arguments.random).flipping():
            await stop.wait()


def main() -> None:
    """Serve until SIGTERM."""
    arguments = _arguments()
    switches = Switches()
    for assignment in arguments.switch:
        try:
            switches.set_text(assignment)
        except (KeyError, ValueError) as exc:
            sys.exit(f"not a switch: {exc}")
    asyncio.run(_serve(arguments, switches))


if __name__ == "__main__":
    main()

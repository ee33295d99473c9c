"""A queue with 4 jobs running and 20 waiting, to be killed: `dying_queue JOURNAL`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support import eventually
from tests.unit.generation_service.queue.workbench import Bench, ScriptedWorker, job, local_queueing


async def main(path: Path) -> None:
    """Print what runs, `ATTEMPT WORKER;…`, and wait for the end."""
    bench = Bench()
    async with local_queueing(
        [ScriptedWorker(bench, f"w{n}") for n in range(4)], path=path
    ) as queue:
        for number in range(24):
            await queue.submit(job(f"s{number}", str(number)))
        await eventually(lambda: len(bench.present) == 4)
        present = [f"{attempt} {worker}" for attempt, (_, worker) in bench.present.items()]
        sys.__stdout__.write(";".join(present) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

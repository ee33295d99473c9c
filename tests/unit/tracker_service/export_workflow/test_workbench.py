"""Works wait for each other, and only so many."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from servicekit.errors import ResourceExhaustedError
from tests.support import eventually
from tracker_service.export_workflow.workbench import Workbench


async def test_only_so_many_works_run_and_wait() -> None:
    """Two run, one waits, and the next is refused at once; afterwards there is room again."""
    bench, gate = Workbench(at_once=2, most=3), threading.Event()
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        assert gate.wait(60)
        return number

    doing = [asyncio.create_task(bench.do(partial(work, number))) for number in range(3)]
    await eventually(lambda: len(begun) == 2)
    with pytest.raises(ResourceExhaustedError) as raised:
        await bench.do(lambda: None)
    assert raised.value.reason == "EXPORTS_BUSY"
    gate.set()
    assert await asyncio.gather(*doing) == [0, 1, 2]
    assert await bench.do(lambda: 4) == 4

"""What the tracker has committed leaves the spool soon: an erased text must not stay there."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from stellwerk_client.recorder import Limits
from tests.fakes.tracker import FakeTracker, serving_tracker
from tests.integration.recording import NOWHERE, numbers, record, recording, settled, spool_files
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b"Eine Blume auf der Wiese"
SOON = Limits(linger_seconds=0.005, settled_seconds=0.01, max_settled_seconds=0.02, round_seconds=0)


def stands_in(spool: Path) -> int:
    """Count how often the recorded text stands in the files of a spool."""
    count = 0
    for path in spool_files(spool):
        with contextlib.suppress(FileNotFoundError):  # removed just now
            count += path.read_bytes().count(TEXT)
    return count


async def test_committed_texts_leave_the_disk_of_a_recorder_that_rests(tmp_path: Path) -> None:
    """Once all is committed no text is left in the spool, and the recorder goes on as before."""
    tracker = FakeTracker()
    async with serving_tracker(tracker) as address:
        with recording(tmp_path, address, SOON) as recorder:
            for first in (1, 11, 21):
                record(recorder, first, first + 9)
                await settled(recorder)
                await eventually(lambda: stands_in(tmp_path) == 0)
    assert tracker.numbers("e") == numbers(1, 30)
    assert tracker.repeats == 0


async def test_committed_texts_leave_the_disk_of_a_busy_recorder(tmp_path: Path) -> None:
    """While items never stop to come, the old ones do not stay until a segment is full."""
    tracker = FakeTracker()
    async with serving_tracker(tracker) as address:
        with recording(tmp_path, address, SOON) as recorder:
            recorded = 0
            async with asyncio.timeout(60):
                while not recorded or stands_in(tmp_path) == recorded:
                    recorded += 1
                    record(recorder, recorded, recorded)
                    await asyncio.sleep(0.001)
            await settled(recorder)
    assert tracker.numbers("e") == numbers(1, recorded)
    assert tracker.repeats == 0


async def test_texts_that_nobody_has_committed_stay(tmp_path: Path) -> None:
    """Whatever its age, a segment with something unsent is kept, and the next process sends it."""
    tracker = FakeTracker()
    with recording(tmp_path, NOWHERE, SOON) as recorder:
        for number in numbers(1, 50):
            record(recorder, number, number)
            await asyncio.sleep(0.001)
        assert stands_in(tmp_path) == 50
    async with serving_tracker(tracker) as address:
        with recording(tmp_path, address, SOON) as recorder:
            await eventually(lambda: len(tracker.items) == 50)
            await eventually(lambda: stands_in(tmp_path) == 0)
    assert tracker.numbers("e") == numbers(1, 50)

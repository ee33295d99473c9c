"""The recorder against a real server that misbehaves, and through the deaths of either side."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from stellwerk_client.recorder import Limits, Recorder
from tests.fakes.tracker import FakeTracker, serving_tracker
from tests.integration.recording import (
    NOWHERE,
    QUICK,
    folders,
    line_of,
    numbers,
    process,
    record,
    recording,
    settled,
    spool_files,
)
from tests.support import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def tracker() -> FakeTracker:
    """A tracker that commits everything."""
    return FakeTracker()


@pytest.fixture
async def address(tracker: FakeTracker) -> AsyncIterator[str]:
    """The address of `tracker`, which is served in this process."""
    async with serving_tracker(tracker) as address:
        yield address


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A folder for spools."""
    return tmp_path / "spool"


class TestSending:
    """With a tracker that works."""

    async def test_items_arrive_as_recorded(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """Every item arrives once, in batches, with its seed exact, and leaves no file behind."""
        with recording(spool, address) as recorder:
            ids = record(recorder, 1, 2_000)
            await settled(recorder)
            assert list(tracker.items) == ids
            assert json.loads(tracker.items[ids[0]].metadata_json) == {"seed": 2**64 - 1}
            assert max(tracker.batch_sizes) <= QUICK.batch_items
            assert recorder.stats().acked == 2_000
        assert tracker.repeats == 0
        assert spool_files(spool) == []

    async def test_many_threads_record_at_once(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """Items of concurrent threads neither mix nor vanish."""
        with recording(spool, address) as recorder:
            threads = [
                threading.Thread(target=record, args=(recorder, 1, 300, "warning", f"e{n}"))
                for n in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                await asyncio.to_thread(thread.join)
            await settled(recorder)
        assert all(tracker.numbers(f"e{n}") == numbers(1, 300) for n in range(8))
        assert tracker.repeats == 0

    async def test_full_segments_are_left_and_removed(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """A spool that goes through many segments keeps the order and shrinks again."""
        with recording(
            spool, address, Limits(segment_bytes=2_000, sync_seconds=0.001, round_seconds=0.001)
        ) as recorder:
            for number in range(1, 101):
                record(recorder, number, number)
                await asyncio.sleep(0.001)
            await settled(recorder)
            await eventually(lambda: recorder.stats().spool_bytes < 4_000)
        assert [item.sequence_number for item in tracker.items.values()] == numbers(1, 100)

    async def test_plans_are_sent_once(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """A plan that was taken before is not sent again."""
        with recording(spool, address) as recorder:
            for _ in range(3):
                recorder.record_plan("a" * 64, b'{"config":"dada"}')
            recorder.record_plan("b" * 64, b"{}")
            await eventually(lambda: len(tracker.plans) == 2)
            record(recorder, 1, 1)
            await settled(recorder)
        assert tracker.plans["a" * 64] == b'{"config":"dada"}'
        assert tracker.plan_count == 2

    async def test_only_the_newest_heartbeat_is_sent(
        self, tracker: FakeTracker, spool: Path
    ) -> None:
        """Of the heartbeats that pile up during an outage only the newest arrives."""
        port = free_port()
        with recording(spool, f"127.0.0.1:{port}") as recorder:
            for last in range(1, 50):
                recorder.heartbeat("e", 1, last, "127.0.0.1:50051")
            recorder.heartbeat("f", 2, 7, "127.0.0.1:50051")
            async with serving_tracker(tracker, f"127.0.0.1:{port}"):
                await eventually(lambda: len(tracker.heartbeats) == 2)
        last_numbers = {beat.execution_id: beat.last_sequence_number for beat in tracker.heartbeats}
        assert last_numbers == {"e": 49, "f": 7}

    async def test_a_release_survives_the_process(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """That an owner has let go is told by the next process; mere heartbeats are not."""
        with recording(spool, NOWHERE) as recorder:
            recorder.heartbeat("e", 1, 3, "127.0.0.1:50051")
            recorder.heartbeat("e", 1, 4, "127.0.0.1:50051", released=True)
            recorder.heartbeat("f", 1, 4, "127.0.0.1:50051")
        with recording(spool, address):
            await eventually(lambda: tracker.heartbeats)
        (beat,) = tracker.heartbeats
        assert (beat.execution_id, beat.last_sequence_number, beat.released) == ("e", 4, True)

    async def test_an_item_that_makes_no_sense_raises_nothing(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """Nonsense is dropped, counted and named as a gap by the next item."""
        with recording(spool, address) as recorder:
            recorder.record(
                execution_id="e",
                epoch="one",  # type: ignore[arg-type]
                sequence_number=1,
                stage=1,
                item_type="warning",
            )
            (item_id,) = record(recorder, 2, 2)
            await eventually(lambda: tracker.items)
            assert recorder.stats().dropped == 1
        gap = json.loads(tracker.items[item_id].metadata_json)["recorder"]["gap"]
        assert gap == {"dropped_count": 1, "first": 1, "last": 1}


class TestTrackerTrouble:
    """With a tracker that does not do what it should."""

    async def test_refused_items_are_dropped_and_counted(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """An item that the tracker refuses does not come back, and its neighbours are stored."""
        tracker.refuse = {"nonsense"}
        with recording(spool, address) as recorder:
            record(recorder, 1, 10)
            record(recorder, 11, 12, "nonsense")
            record(recorder, 13, 20)
            await settled(recorder)
            assert (recorder.stats().acked, recorder.stats().refused) == (18, 2)
        assert tracker.numbers("e") == numbers(1, 10) + numbers(13, 20)
        assert spool_files(spool) == []

    @pytest.mark.parametrize("switch", ["reject", "choke"])
    async def test_one_bad_item_does_not_block_the_stream(
        self, tracker: FakeTracker, address: str, spool: Path, switch: str
    ) -> None:
        """A frame at which the whole stream fails is found by halving, and all others arrive."""
        setattr(tracker, switch, {"poison"})
        with recording(spool, address) as recorder:
            record(recorder, 1, 40)
            record(recorder, 41, 41, "poison")
            record(recorder, 42, 100)
            await eventually(lambda: recorder.stats().acked == 99, within_seconds=30)
            record(recorder, 101, 110)
            await settled(recorder)
            assert recorder.stats().refused == 1
        assert tracker.numbers("e") == [n for n in range(1, 111) if n != 41]

    async def test_a_tracker_that_fails_at_everything_costs_nothing(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """While every stream ends with INTERNAL nothing is given up, and later all arrives."""
        tracker.choke = {"warning"}
        with recording(spool, address) as recorder:
            record(recorder, 1, 5)
            await eventually(lambda: tracker.stream_count > 30, within_seconds=30)
            tracker.choke = set()
            record(recorder, 6, 6)
            await settled(recorder)
            assert recorder.stats().refused == 0
        assert tracker.numbers("e") == numbers(1, 6)

    async def test_a_busy_store_is_asked_again(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """STORE_BUSY sends the same batch again after the time that the tracker names."""
        tracker.busy_count = 3
        with recording(spool, address) as recorder:
            record(recorder, 1, 50)
            await settled(recorder)
        assert tracker.numbers("e") == numbers(1, 50)
        assert tracker.busy_count == 0

    async def test_a_frozen_tracker_is_left_and_tried_again(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """Without acks the stream is torn down; after the thaw everything is stored once."""
        with recording(spool, address) as recorder:
            tracker.freeze()
            record(recorder, 1, 5_000)
            await eventually(lambda: tracker.stream_count >= 2)
            assert recorder.stats().pending == 5_000
            tracker.thaw()
            await settled(recorder)
        assert tracker.numbers("e") == numbers(1, 5_000)

    async def test_a_tracker_may_come_late_and_go_away(
        self, tracker: FakeTracker, spool: Path
    ) -> None:
        """What was recorded while the tracker was away arrives when it serves again."""
        port = free_port()
        with recording(spool, f"127.0.0.1:{port}") as recorder:
            for first in (1, 101, 201):
                record(recorder, first, first + 99)
                async with serving_tracker(tracker, f"127.0.0.1:{port}"):
                    await settled(recorder)
        assert tracker.numbers("e") == numbers(1, 300)

    async def test_killed_trackers_lose_nothing(self, spool: Path, tmp_path: Path) -> None:
        """Through SIGKILLs of the tracker every item is committed, whatever it had accepted."""
        journal, port = tmp_path / "journal", free_port()
        with recording(spool, f"127.0.0.1:{port}") as recorder:
            for first in range(1, 2_001, 500):
                with process("tracker", str(journal), str(port)) as child:
                    await line_of(child, "serving")
                    record(recorder, first, first + 499)
                    await eventually(lambda: recorder.stats().acked)
            with process("tracker", str(journal), str(port)) as child:
                await line_of(child, "serving")
                await settled(recorder)
        committed = {line.split()[1] for line in journal.read_text().splitlines()}
        assert committed == {str(number) for number in numbers(1, 2_000)}

    async def test_a_stopped_tracker_is_not_felt(self, spool: Path, tmp_path: Path) -> None:
        """While the tracker's process is stopped items are taken; they arrive when it goes on."""
        journal = tmp_path / "journal"
        with process("tracker", str(journal)) as child:
            address = (await line_of(child, "serving")).split()[1]
            with recording(spool, address) as recorder:
                record(recorder, 1, 100)
                await settled(recorder)
                child.send_signal(signal.SIGSTOP)
                record(recorder, 101, 10_000)
                assert recorder.stats().dropped == 0
                await asyncio.sleep(2 * QUICK.ack_seconds)
                child.send_signal(signal.SIGCONT)
                await settled(recorder)
        committed = {line.split()[1] for line in journal.read_text().splitlines()}
        assert committed == {str(number) for number in numbers(1, 10_000)}


class TestDeath:
    """When the recording process dies."""

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    async def test_the_next_process_sends_what_a_dead_one_left(
        self, tracker: FakeTracker, address: str, spool: Path, number: signal.Signals
    ) -> None:
        """All that was taken before the signal arrives, each item once."""
        with process("recording_process", str(spool), NOWHERE, "e", "300") as child:
            await line_of(child, "recorded 300")
            child.send_signal(number)
            await asyncio.to_thread(child.wait)
        assert spool_files(spool)
        with recording(spool, address) as recorder:
            await eventually(lambda: len(tracker.items) == 300)
            await settled(recorder)
            await eventually(lambda: len(folders(spool)) == 1)
            assert recorder.stats().adopted == 300
        assert tracker.numbers("e") == numbers(1, 300)
        assert tracker.repeats == 0
        assert folders(spool) == []

    async def test_a_kill_in_the_middle_loses_nothing_taken(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """Killed while it records and sends, every item that was taken is stored exactly once."""
        with process("recording_process", str(spool), address, "e", "100000") as child:
            await line_of(child, "recorded 2000")
            child.kill()
            assert child.stdout is not None
            rest = [line for line in child.stdout.read().splitlines() if line[9:].isdigit()]
        last = int(rest[-1][9:]) if rest else 2_000
        with recording(spool, address) as recorder:
            await eventually(lambda: len(tracker.items) >= last)
            await settled(recorder)
        found = tracker.numbers("e")
        assert found[:last] == numbers(1, last)
        assert len(found) == len(set(found))

    async def test_a_torn_spool_gives_what_is_whole(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """A segment that a power cut tore off in a frame gives all frames before it."""
        with recording(spool, NOWHERE) as recorder:
            record(recorder, 1, 20)
        (segment,) = [path for path in spool_files(spool) if path.suffix == ".spool"]
        segment.write_bytes(segment.read_bytes()[:-5])
        with recording(spool, address):
            await eventually(lambda: len(tracker.items) == 19)
            await eventually(lambda: len(folders(spool)) == 1)
        assert tracker.numbers("e") == numbers(1, 19)

    async def test_a_living_neighbour_is_not_adopted(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """Recorders that share a folder leave each other's spools alone while both live."""
        limits = Limits(adopt_seconds=0.01, sync_seconds=0.01, linger_seconds=0.01)
        with recording(spool, NOWHERE) as waiting, recording(spool, address, limits) as working:
            record(waiting, 1, 10)
            record(working, 11, 20)
            await settled(working)
            assert tracker.numbers("e") == numbers(11, 20)
            await asyncio.to_thread(waiting.close, 0)
            await eventually(lambda: len(tracker.items) == 20)
        assert tracker.repeats == 0

    async def test_foreign_folders_are_left_alone(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """What lies in the spool's folder and is not a recorder's stays untouched."""
        foreign = spool / "lost+found"
        foreign.mkdir(parents=True)
        with recording(spool, address) as recorder:
            record(recorder, 1, 1)
            await settled(recorder)
        assert folders(spool) == [foreign]
        assert folders(foreign) == []

    async def test_closing_sends_what_it_can(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """A recorder that is closed with time to spare leaves nothing; later items are dropped."""
        recorder = Recorder(spool, address, limits=QUICK)
        record(recorder, 1, 1_000)
        await asyncio.to_thread(recorder.close, 10)
        record(recorder, 1_001, 1_001)
        assert recorder.stats().dropped == 1
        assert tracker.numbers("e") == numbers(1, 1_000)
        assert folders(spool) == []


class TestDiskTrouble:
    """When the disk does not take what it should."""

    async def test_a_full_disk_is_bypassed_while_the_tracker_works(
        self, tracker: FakeTracker, address: str, spool: Path
    ) -> None:
        """Items that the disk refuses go through memory, and arrive."""
        arguments = (str(spool), address, "e", "500", "3000")
        with process("recording_process", *arguments) as child:
            await line_of(child, "recorded 500")
            await eventually(lambda: len(tracker.items) == 500)
            child.terminate()
            stats = json.loads(await line_of(child, "{"))
        assert stats["dropped"] == 0
        assert tracker.numbers("e") == numbers(1, 500)
        remarks = [json.loads(i.metadata_json or b"{}") for i in tracker.items.values()]
        assert {"recorder": {"held_in_memory": True}} in remarks

    async def test_a_full_spool_drops_counts_and_tells(
        self, tracker: FakeTracker, spool: Path
    ) -> None:
        """Over quota and memory items are dropped and counted; the record names the gap."""
        port = free_port()
        limits = Limits(
            quota_bytes=20_000, memory_bytes=5_000, max_backoff_seconds=0.05, round_seconds=0.02
        )
        with recording(spool, f"127.0.0.1:{port}", limits) as recorder:
            record(recorder, 1, 1_000)
            dropped = recorder.stats().dropped
            assert 0 < dropped < 1_000
            assert recorder.stats().spool_bytes <= 20_000
            async with serving_tracker(tracker, f"127.0.0.1:{port}"):
                await settled(recorder)
                (item_id,) = record(recorder, 1_001, 1_001)
                await settled(recorder)
        assert tracker.numbers("e") == [*numbers(1, 1_000 - dropped), 1_001]
        gap = json.loads(tracker.items[item_id].metadata_json)["recorder"]["gap"]
        assert gap == {"dropped_count": dropped, "first": 1_001 - dropped, "last": 1_000}

    async def test_a_spool_that_was_full_is_used_again(
        self, tracker: FakeTracker, spool: Path
    ) -> None:
        """Once the tracker has taken the backlog, items stand on the disk again."""
        port = free_port()
        limits = Limits(
            quota_bytes=20_000,
            memory_bytes=5_000,
            max_backoff_seconds=0.05,
            round_seconds=0.02,
            disk_retry_seconds=0.01,
        )
        with recording(spool, f"127.0.0.1:{port}", limits) as recorder:
            record(recorder, 1, 1_000)
            async with serving_tracker(tracker, f"127.0.0.1:{port}"):
                await settled(recorder)
                await eventually(lambda: recorder.stats().spool_bytes == 0)
            ids = record(recorder, 1_001, 1_002)
        with recording(spool, f"127.0.0.1:{port}", limits):
            async with serving_tracker(tracker, f"127.0.0.1:{port}"):
                await eventually(lambda: ids[1] in tracker.items)

    def test_a_spool_that_cannot_be_made_stops_the_start(self, tmp_path: Path) -> None:
        """A recorder without a spool is refused at once, not when the first item comes."""
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match="file"):
            Recorder(tmp_path / "file" / "spool", NOWHERE)

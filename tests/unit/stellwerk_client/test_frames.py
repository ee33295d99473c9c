"""Frames survive what disks and killed processes do to files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.tracker.v1 import tracker_service_pb2
from stellwerk_client.recorder.frames import (
    HEADER,
    HEARTBEAT,
    ITEM,
    PLAN,
    field,
    frame,
    framed_bytes,
    item_count,
    read_frames,
    varint,
)

MESSAGES = st.lists(
    st.tuples(st.sampled_from((ITEM, PLAN, HEARTBEAT)), st.binary(max_size=300)), max_size=12
)


def payloads_of(messages: list[tuple[int, bytes]]) -> list[bytes]:
    return [field(tag, message) for tag, message in messages]


@given(MESSAGES)
def test_frames_read_back_as_written(messages: list[tuple[int, bytes]]) -> None:
    """Whatever is written in frames is read back in order."""
    payloads = payloads_of(messages)
    data = b"".join(map(frame, payloads))
    found = read_frames(data, 100)
    assert found.payloads == payloads
    assert found.consumed_bytes == len(data) == framed_bytes(payloads)
    assert not found.torn
    assert found.damaged_count == 0


@given(MESSAGES, st.data())
def test_a_tail_torn_at_any_byte_loses_only_the_last_frame(
    messages: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    """Of a file cut off anywhere, every whole frame is read and nothing else."""
    payloads = payloads_of(messages)
    whole = b"".join(map(frame, payloads))
    cut = data.draw(st.integers(0, len(whole)))
    found = read_frames(whole[:cut], 100)
    assert found.payloads == payloads[: len(found.payloads)]
    assert cut - found.consumed_bytes < HEADER.size + 305
    next_frame = (
        frame(payloads[len(found.payloads)]) if len(found.payloads) < len(payloads) else b""
    )
    assert cut == len(whole) or cut - found.consumed_bytes < len(next_frame)


@given(MESSAGES, st.integers(0, 64))
def test_zeros_at_the_end_are_no_frame(messages: list[tuple[int, bytes]], zeros: int) -> None:
    """Zeros that a file system left after a power cut end the segment."""
    payloads = payloads_of(messages)
    found = read_frames(b"".join(map(frame, payloads)) + bytes(zeros), 100)
    assert found.payloads == payloads
    assert found.torn == (zeros >= HEADER.size)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=3, max_size=6), st.data())
def test_a_damaged_frame_costs_only_itself(bodies: list[bytes], data: st.DataObject) -> None:
    """A flipped bit inside one payload makes its neighbours no worse."""
    payloads = [field(ITEM, body) for body in bodies]
    victim = data.draw(st.integers(0, len(payloads) - 1))
    frames = [bytearray(frame(payload)) for payload in payloads]
    position = data.draw(st.integers(HEADER.size, len(frames[victim]) - 1))
    frames[victim][position] ^= 1 << data.draw(st.integers(0, 7))
    found = read_frames(b"".join(frames), 100)
    assert found.payloads == payloads[:victim] + payloads[victim + 1 :]
    assert found.damaged_count == 1


@given(st.integers(0, 2**63 - 1), st.integers(0, 40_000))
def test_joined_payloads_are_a_request(batch_number: int, size: int) -> None:
    """Payloads of any length, joined, parse as the request that the contract describes."""
    plan = tracker_service_pb2.ExecutionPlan(plan_json=b"x" * size)
    item = tracker_service_pb2.RecordItemsRequest().items.add(item_id="i" * (size % 200))
    payloads = [field(PLAN, plan.SerializeToString()), field(ITEM, item.SerializeToString())]
    data = b"".join((*payloads, b"\x20", varint(batch_number)))
    request = tracker_service_pb2.RecordItemsRequest.FromString(data)
    assert list(request.plans) == [plan]
    assert list(request.items) == [item]
    assert request.batch_number == batch_number
    assert item_count(payloads) == 1


def test_reading_stops_at_the_wanted_count() -> None:
    """No more frames are read than asked for, and the rest stays for the next time."""
    payloads = [field(ITEM, bytes([n])) for n in range(5)]
    data = b"".join(map(frame, payloads))
    first = read_frames(data, 2)
    assert first.payloads == payloads[:2]
    assert read_frames(data[first.consumed_bytes :], 100).payloads == payloads[2:]

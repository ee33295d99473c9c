"""Whatever comes over the socket is read, put where it belongs, or dropped without harm."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation_service.backends.comfyui.mailbox import MAX_BLOCKED, Mailbox
from generation_service.backends.comfyui.messages import (
    PREVIEW,
    TEXT,
    Message,
    read_message,
)
from generation_service.backends.comfyui.progress import ProgressMeter
from tests.integration.comfyui import sampler_graph

JPEG, PNG = b"\xff\xd8\xff\xe0", b"\x89PNG"


def text(kind: str, **data: Any) -> bytes:
    """Write a message as the server does, NaN included."""
    return json.dumps({"type": kind, "data": data}).encode()


def read(frame: bytes) -> Message:
    """Read a frame that must be a message."""
    message = read_message(frame)
    assert message is not None
    return message


def with_metadata(about: Any, picture: bytes) -> bytes:
    """Write a frame of type 4."""
    described = json.dumps(about).encode()
    return struct.pack(">II", 4, len(described)) + described + picture


def test_end_marker_needs_a_prompt() -> None:
    """`executing` without node ends a run only when it names the prompt."""
    assert read(text("executing", node=None, prompt_id="p")).ends_run
    assert not read(text("executing", node=None)).ends_run
    assert not read(text("executing", node="3", prompt_id="p")).ends_run


def test_nan_is_read() -> None:
    """Bare NaN and Infinity, which strict parsers refuse, cost nothing."""
    message = read(b'{"type":"executed","data":{"output":{"v":[NaN,Infinity]},"prompt_id":"p"}}')
    assert message.prompt_id == "p"


def test_picture_frames() -> None:
    """Both kinds of previews: one belongs to whoever runs, the other says whose it is."""
    plain = read(struct.pack(">II", 1, 1) + JPEG)
    assert plain.kind == PREVIEW
    assert plain.preview is not None
    assert (plain.preview.mime_type, plain.preview.data) == ("image/jpeg", JPEG)
    about = {"node_id": "3", "prompt_id": "p", "image_type": "image/png"}
    named = read(with_metadata(about, PNG))
    assert named.preview is not None
    assert (named.prompt_id, named.preview.node_id, named.preview.data) == ("p", "3", PNG)


def test_text_frame() -> None:
    """A node's text comes with the node's id."""
    frame = struct.pack(">II", 3, 1) + b"3" + "schön".encode()
    assert read(frame).kind == TEXT
    assert read(frame).data == {"node": "3", "text": "schön"}


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{not json",
        b"[1,2]",
        b'"text"',
        b'{"data":{}}',
        b'{"type":5}',
        b"\0",
        b"\0\0\0\1",
        struct.pack(">II", 1, 9) + JPEG,
        struct.pack(">II", 2, 1) + JPEG,
        struct.pack(">II", 4, 10**6) + b"{}",
        with_metadata({"image_type": "text/html"}, PNG),
        with_metadata([], PNG),
        b"[" * 100_000,
    ],
)
def test_nonsense_is_nothing(frame: bytes) -> None:
    """Broken, unknown and hostile frames are dropped."""
    assert read_message(frame) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(frame: bytes) -> None:
    """No frame whatever makes the reader fail, and it reads the same every time."""
    for each in (frame, b"\0\0\0" + frame):
        assert read_message(each) == read_message(each)


@given(
    st.sampled_from(["status", "executing", "progress", "progress_state", "execution_cached"]),
    st.recursive(
        st.none() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["nodes", "3", "value", "max", "node", "state"]), inner
            )
        ),
        max_leaves=8,
    ),
)
async def test_any_content_is_survived(kind: str, content: Any) -> None:
    """Messages whose content is of the wrong shape neither fail nor spoil the progress."""
    box = Mailbox()
    message = read_message(json.dumps({"type": kind, "data": content}).encode())
    if message is not None:
        box.put(message)
    assert 0 <= ProgressMeter(sampler_graph()).percent(box) <= 100


async def test_mailbox_is_bounded() -> None:
    """A flood leaves the newest of each kind, and the end is never crowded out."""
    box = Mailbox()
    for n in range(1000):
        box.put(read(struct.pack(">II", 1, 1) + JPEG + bytes([n % 256])))
        box.put(read(text("execution_error", prompt_id="p", n=n)))
        box.put(read(text("progress", value=n, max=1000, node="3", prompt_id="p")))
    box.put(read(text("executing", node=None, prompt_id="p")))
    assert box.ended
    assert len(box.blocked) == MAX_BLOCKED
    assert box.steps == ("3", 999.0, 1000.0)
    preview = box.take_preview()
    assert preview is not None
    assert preview.data[-1] == 999 % 256
    assert box.take_preview() is None


async def test_mailbox_does_not_forget_a_wake_up() -> None:
    """What comes while nobody waits ends the next wait at once."""
    box = Mailbox()
    box.put_queue_change()
    await box.wait(60)
    assert box.take_queue_change()
    assert not box.take_queue_change()


async def test_progress_weighs_nodes_and_counts_steps() -> None:
    """Percent never falls, cached nodes do not count, a sampler counts by its steps."""
    box, meter = Mailbox(), ProgressMeter(sampler_graph())
    box.put(read(text("execution_cached", nodes=["4", "6", "7"], prompt_id="p")))
    assert not meter.is_loading(box)
    seen = [meter.percent(box)]
    for step in range(1, 5):
        nodes = {"3": {"value": step, "max": 4, "state": "running"}}
        box.put(read(text("progress_state", nodes=nodes, prompt_id="p")))
        seen.append(meter.percent(box))
    box.put(read(text("progress_state", nodes={}, prompt_id="p")))
    seen.append(meter.percent(box))
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] > 50


async def test_loading_ends_with_the_loader_or_the_first_step() -> None:
    """Models are being loaded until their loader is done; a step proves it too."""
    meter = ProgressMeter(sampler_graph())
    done, stepping = Mailbox(), Mailbox()
    assert meter.is_loading(done)
    states = {"4": {"value": 1, "max": 1, "state": "finished"}}
    done.put(read(text("progress_state", nodes=states, prompt_id="p")))
    assert not meter.is_loading(done)
    stepping.put(read(text("progress", value=1, max=4, node="3", prompt_id="p")))
    assert not meter.is_loading(stepping)


def test_nodes_are_called_by_title_or_class() -> None:
    """People read titles; a node made by an expanded one is called like that one."""
    graph = sampler_graph()
    graph["3"]["_meta"] = {"title": "Painting"}
    meter = ProgressMeter(graph)
    assert meter.node_name("3") == "Painting"
    assert meter.node_name("3.0.0.1") == "Painting"
    assert meter.node_name("4") == "CheckpointLoaderSimple"
    assert meter.node_name("99") == "99"

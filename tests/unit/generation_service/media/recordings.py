"""Sounds and films as workers write them: encoded for real, with a workflow in their tags."""

from __future__ import annotations

import contextlib
import io
import json
import math
import struct
import tempfile
import wave
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import OutputContainer

SECRET = "a dragon that looks like my sister Mia"
WORKFLOW = json.dumps({"6": {"class_type": "CLIPTextEncode", "inputs": {"text": SECRET}}})
TAGS = {"title": SECRET, "artist": SECRET, "comment": WORKFLOW, "prompt": WORKFLOW}
_RATE = 48_000


def wav() -> bytes:
    """A tenth of a second of sound, with a list of texts before and after it."""
    samples = array("h", (int(9000 * math.sin(n / 20)) for n in range(4801)))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples.tobytes())
    plain = buffer.getvalue()
    text = SECRET.encode() + b"\0" * (len(SECRET) % 2)
    listed = b"INFOICMT" + struct.pack("<I", len(text)) + text
    chunk = b"LIST" + struct.pack("<I", len(listed)) + listed
    body = plain[12:36] + chunk + plain[36:] + chunk
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


@contextlib.contextmanager
def _recording(container: str, options: dict[str, str]) -> Iterator[tuple[OutputContainer, Path]]:
    """A new file; some containers are read again while they are written, so it needs a name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording"
        with av.open(str(path), "w", format=container, options=options) as file:
            yield file, path


def sound(container: str, codec: str, *, tags: dict[str, str] = TAGS) -> bytes:
    """Two seconds of a tone."""
    with _recording(container, {}) as (file, path):
        file.metadata.update(tags)
        stream: Any = file.add_stream(codec, rate=_RATE, layout="stereo", options={"strict": "-2"})
        tone = (9000 * np.sin(np.arange(2 * 2 * _RATE) / 40)).astype(np.int16)[np.newaxis, :]
        frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="stereo")
        frame.sample_rate = _RATE
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        file.close()
        return path.read_bytes()


def film(container: str, codec: str, options: dict[str, str] | None = None) -> bytes:
    """Eight frames that move, with texts about the film and about its stream."""
    with _recording(container, options or {}) as (file, path):
        file.metadata.update(TAGS)
        stream: Any = file.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["title"] = SECRET
        for number in range(8):
            picture = np.full((48, 64, 3), number * 30, dtype=np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
        file.close()
        return path.read_bytes()


def decoded(data: bytes) -> list[bytes]:
    """All frames or samples of a file, decoded."""
    with av.open(io.BytesIO(data), "r") as file:
        frames = file.decode(file.streams[0])
        return [
            frame.to_ndarray().tobytes()
            for frame in frames
            if isinstance(frame, av.AudioFrame | av.VideoFrame)
        ]


def tags_of(data: bytes) -> dict[str, str]:
    """What the file says about itself and its streams."""
    with av.open(io.BytesIO(data)) as file:
        tags = dict(file.metadata)
        for stream in file.streams:
            tags |= stream.metadata
        return tags

"""Readers of what the renderers make, independent of how they make it."""

from __future__ import annotations

import io
import json
import struct
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def samples_of(wav: bytes) -> NDArray[np.float64]:
    """The samples of a file, shape (n, 2), -1 to 1, once its format is what was promised."""
    with wave.open(io.BytesIO(wav)) as file:
        assert file.getparams()[:3] == (2, 2, 44_100)
        data = file.readframes(file.getnframes())
    return np.frombuffer(data, "<i2").reshape(-1, 2) / 32_768


def loudness(signal: NDArray[np.float64]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(signal**2)))


def mean_hertz(signal: NDArray[np.float64]) -> float:
    """Where the middle of the sound's energy lies."""
    power = np.abs(np.fft.rfft(signal.mean(axis=1))) ** 2
    return float(np.sum(np.fft.rfftfreq(len(signal), 1 / 44_100) * power) / np.sum(power))


@dataclass(frozen=True)
class Glb:
    """A GLB file, taken apart by the letter of its specification."""

    tree: dict[str, Any]
    buffer: bytes

    def array(self, accessor: int) -> NDArray[Any]:
        """The numbers of an accessor, one row per element."""
        entry = self.tree["accessors"][accessor]
        view = self.tree["bufferViews"][entry["bufferView"]]
        kind = {5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}[entry["componentType"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[entry["type"]]
        start = view.get("byteOffset", 0) + entry.get("byteOffset", 0)
        length = entry["count"] * width * np.dtype(kind).itemsize
        assert start + length <= view.get("byteOffset", 0) + view["byteLength"] <= len(self.buffer)
        assert start % np.dtype(kind).itemsize == 0
        return np.frombuffer(self.buffer[start : start + length], kind).reshape(-1, width)


def glb_of(data: bytes) -> Glb:
    """Check header and chunks of a GLB file and take it apart."""
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    json_length, json_kind = struct.unpack("<I4s", data[12:20])
    assert json_kind == b"JSON"
    assert json_length % 4 == 0
    rest = data[20 + json_length :]
    bin_length, bin_kind = struct.unpack("<I4s", rest[:8])
    assert bin_kind == b"BIN\x00"
    assert bin_length % 4 == 0
    assert len(rest) == 8 + bin_length
    tree = json.loads(data[20 : 20 + json_length])
    assert tree["asset"]["version"] == "2.0"
    assert 0 <= bin_length - tree["buffers"][0]["byteLength"] < 4
    return Glb(tree, rest[8:])

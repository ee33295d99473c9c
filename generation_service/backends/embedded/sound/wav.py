"""The last step of everything that sounds: an even level, and a file."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.sound.signal import RATE

if TYPE_CHECKING:
    from generation_service.backends.embedded.sound.signal import Stereo

CEILING = 0.89
"""Largest sample, -1 dB below full scale: room for whoever converts the file."""


def mastered(signal: Stereo, *, loudness: float) -> Stereo:
    """The signal at an even level, its peaks rounded off below `CEILING`.

    Args:
        signal: Any level.
        loudness: Root mean square that the louder half of the piece shall have.
    """
    centred = signal - signal.mean(axis=0, keepdims=True)
    blocks = np.array_split(centred, max(1, len(centred) // (RATE // 5)))
    levels = np.sort([float(np.sqrt(np.mean(block.astype(np.float64) ** 2))) for block in blocks])
    level = float(levels[len(levels) // 2 :].mean())
    gained = centred * np.float32(loudness / max(level, 1e-6))
    knee = np.float32(0.6)
    size = np.abs(gained)
    room = np.float32(CEILING) - knee
    rounded = knee + room * np.tanh((size - knee) / room)
    even = np.where(size > knee, np.sign(gained) * rounded, gained)
    return np.asarray(even, dtype=np.float32)


def to_wav(signal: Stereo) -> bytes:
    """A WAV file, 16 bits, stereo, with nothing in it but sound."""
    samples = np.clip(np.rint(signal * 32767.0), -32768, 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()

"""The tools of synthesis: noise, tones, envelopes, filters, space.

Signals are float32 at `RATE`, mono (n,) or stereo (n, 2), around -1 to 1. Filters work on the
whole signal in the frequency domain: no recursion that Python would have to walk sample by
sample, and no library beyond numpy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 44_100
"""Samples per second."""

Mono = NDArray[np.float32]
Stereo = NDArray[np.float32]
Response = NDArray[np.float64]


def count(seconds: float) -> int:
    """Samples in so many seconds, at least one."""
    return max(1, round(seconds * RATE))


def clock(samples: int) -> NDArray[np.float64]:
    """The time of each sample in seconds."""
    return np.arange(samples, dtype=np.float64) / RATE


def noise(samples: int, rng: np.random.Generator) -> Mono:
    """White noise, about -1 to 1."""
    return rng.standard_normal(samples, dtype=np.float32) * np.float32(0.33)


def filtered(signal: Mono, response: Callable[[NDArray[np.float64]], Response]) -> Mono:
    """The signal with each frequency (Hz) weighted by `response`."""
    size = _good_length(len(signal))
    spectrum = np.fft.rfft(signal, size)
    hertz = np.asarray(np.fft.rfftfreq(size, 1 / RATE), dtype=np.float64)
    weighted = spectrum * response(hertz)
    return np.fft.irfft(weighted, size)[: len(signal)].astype(np.float32)


def band(signal: Mono, low: float, high: float, *, order: int = 2) -> Mono:
    """What lies between two frequencies in Hz, with soft slopes."""

    def response(hertz: NDArray[np.float64]) -> Response:
        rising = 1 / np.sqrt(1 + (low / np.maximum(hertz, 1e-3)) ** (2 * order))
        falling = 1 / np.sqrt(1 + (hertz / high) ** (2 * order))
        return np.asarray(rising * falling)

    return filtered(signal, response)


def lowpass(signal: Mono, high: float, *, order: int = 2) -> Mono:
    """What lies below a frequency in Hz."""
    return filtered(signal, lambda hertz: 1 / np.sqrt(1 + (hertz / high) ** (2 * order)))


def resonant(signal: Mono, peaks: tuple[tuple[float, float, float], ...]) -> Mono:
    """What rings at some frequencies: (Hz, width in Hz, strength) each."""

    def response(hertz: NDArray[np.float64]) -> Response:
        return np.asarray(
            sum(gain / (1 + ((hertz - at) / width) ** 2) for at, width, gain in peaks)
        )

    return filtered(signal, response)


def wander(samples: int, rng: np.random.Generator, *, seconds: float) -> Mono:
    """A slow random curve from 0 to 1 that turns about every so many seconds."""
    knots = rng.random(math.ceil(samples / RATE / seconds) + 3)
    at = clock(samples) / seconds
    whole = at.astype(int)
    share = (1 - np.cos(math.pi * (at - whole))) / 2
    curve = knots[whole] * (1 - share) + knots[whole + 1] * share
    return np.asarray(curve, dtype=np.float32)


def sweep(hertz: NDArray[np.float64] | NDArray[np.float32]) -> Mono:
    """A sine whose frequency follows a curve."""
    phase = np.cumsum(np.asarray(hertz, dtype=np.float64)) * (math.tau / RATE)
    return np.sin(phase).astype(np.float32)


def tone(hertz: float, samples: int, *, phase: float = 0.0) -> Mono:
    """A sine."""
    return np.sin(math.tau * hertz * clock(samples) + phase).astype(np.float32)


def decay(samples: int, seconds: float, *, attack: float = 0.002) -> Mono:
    """An envelope that rises at once and falls to 1/e within `seconds`; ends in silence."""
    t = clock(samples)
    shape = np.minimum(1, t / attack) * np.exp(-t / seconds)
    ending = np.clip((t[-1] - t) / min(0.01, t[-1] / 4 + 1e-9), 0, 1)
    return np.asarray(shape * ending, dtype=np.float32)


def swell(samples: int, *, peak: float = 0.5) -> Mono:
    """An envelope that rises smoothly to its peak, at a share of its length, and falls."""
    share = np.linspace(0, 1, samples)
    warped = np.where(share < peak, share / peak / 2, 0.5 + (share - peak) / (1 - peak) / 2)
    return (np.sin(math.pi * warped) ** 2).astype(np.float32)


def spread(signal: Mono, place: float) -> Stereo:
    """A signal at a place from -1 (left) to 1 (right), equally loud everywhere."""
    angle = (min(max(place, -1.0), 1.0) + 1) * math.pi / 4
    return np.stack([signal * math.cos(angle), signal * math.sin(angle)], axis=1).astype(np.float32)


def travel(signal: Mono, places: Mono) -> Stereo:
    """A signal that moves along a curve of places from -1 to 1."""
    angle = (np.clip(places, -1, 1) + 1) * (math.pi / 4)
    return np.stack([signal * np.cos(angle), signal * np.sin(angle)], axis=1).astype(np.float32)


def add(mix: Stereo, part: Stereo, start: int, gain: float = 1.0) -> None:
    """Mix `part` in from sample `start` on; what would stand outside is cut."""
    skipped = max(0, -start)
    begin = max(0, start)
    end = min(len(mix), start + len(part))
    if end > begin:
        mix[begin:end] += part[skipped : skipped + end - begin] * np.float32(gain)


def reverberate(
    signal: Stereo, rng: np.random.Generator, *, seconds: float, share: float
) -> Stereo:
    """The signal in a room.

    Args:
        signal: Dry.
        rng: Builds the room.
        seconds: Until the echo has faded by 60 dB.
        share: Of echo in the result, 0 to 1.
    """
    length = count(seconds)
    t = clock(length)
    fade = np.exp(-6.9 * t / seconds) * np.minimum(1, t / 0.012)
    size = _good_length(len(signal) + length)
    wet = np.empty_like(signal)
    for side in (0, 1):
        room = lowpass(noise(length, rng), 5200, order=1) * fade.astype(np.float32)
        room /= np.float32(math.sqrt(float(np.sum(room.astype(np.float64) ** 2))))
        echo = np.fft.irfft(np.fft.rfft(signal[:, side], size) * np.fft.rfft(room, size), size)
        wet[:, side] = echo[: len(signal)]
    return np.asarray(signal * np.float32(1 - share * 0.5) + wet * np.float32(share))


def faded(signal: Stereo, *, start: float, end: float) -> Stereo:
    """Silent at both ends, over so many seconds."""
    t = clock(len(signal))
    rise = np.clip(t / max(start, 1e-6), 0, 1)
    fall = np.clip((t[-1] - t) / max(end, 1e-6), 0, 1)
    shape = np.sin(rise * math.pi / 2) * np.sin(fall * math.pi / 2)
    return np.asarray(signal * shape[:, None].astype(np.float32))


def _good_length(samples: int) -> int:
    """The next length whose transform is quick: 2^n, 3 * 2^n or 5 * 2^n."""
    power: int = 1 << max(0, samples - 1).bit_length()
    return min(size for size in (power, power * 3 // 4, power * 5 // 8) if size >= samples)

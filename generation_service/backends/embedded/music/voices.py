"""Instruments, each a formula: one note in, one sound out, peak about 1.

All are sums of partials that stop below the limit of hearing, so that nothing aliases; where an
instrument shows its bow, breath or hammer, noise does that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.sound.signal import (
    RATE,
    band,
    clock,
    count,
    decay,
    noise,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from generation_service.backends.embedded.sound.signal import Mono

_TOP_HERTZ = 9_000


def hertz(midi: float) -> float:
    """The frequency of a MIDI number; 69 is 440 Hz."""
    return float(440.0 * 2 ** ((midi - 69) / 12))


def pluck(midi: int, seconds: float) -> Mono:
    """A guitar string, plucked near its end."""
    samples = count(min(seconds + 0.8, 3.0))
    return _struck(
        midi, samples, strength=lambda k: abs(math.sin(0.21 * math.pi * k)) / k, fall=1.1
    )


def piano(midi: int, seconds: float) -> Mono:
    """A felt piano."""
    samples = count(seconds + 0.5)
    voice = _struck(midi, samples, strength=lambda k: 1 / k**1.7, fall=1.6)
    return _sound(voice * _gate(samples, 0.004, 0.35))


def epiano(midi: int, seconds: float) -> Mono:
    """Tines: one tone bends the other, strongly at first."""
    samples = count(seconds + 0.25)
    t, f = clock(samples), hertz(midi)
    bend = 1.3 * np.exp(-t / 0.35) + 0.25
    body = np.sin(math.tau * f * t + bend * np.sin(math.tau * f * t))
    tine = 0.16 * np.sin(math.tau * f * 7.02 * t) * np.exp(-t / 0.06)
    tremolo = 1 + 0.12 * np.sin(math.tau * 4.8 * t)
    return _sound((body + tine) * tremolo * np.exp(-t / 1.5) * _gate(samples, 0.004, 0.16))


def music_box(midi: int, seconds: float) -> Mono:
    """A steel tooth."""
    samples = count(2.2)
    t, f = clock(samples), hertz(midi + 12)
    voice = np.sin(math.tau * f * t) * np.exp(-t / 0.75)
    voice += 0.35 * np.sin(math.tau * f * 2.0 * t) * np.exp(-t / 0.4)
    if f * 5.42 < _TOP_HERTZ * 1.5:
        voice += 0.22 * np.sin(math.tau * f * 5.42 * t) * np.exp(-t / 0.1)
    return _sound(voice * 0.75 * _gate(samples, 0.0015, 0.3))


def glass(midi: int, seconds: float) -> Mono:
    """A rubbed glass that rings on."""
    samples = count(seconds + 2.2)
    t, f = clock(samples), hertz(midi)
    voice = np.sin(math.tau * f * t) + 0.3 * np.sin(math.tau * f * 2.003 * t)
    voice += 0.12 * np.sin(math.tau * f * 4.01 * t) * np.exp(-t / 0.5)
    return _sound(voice * 0.7 * np.exp(-t / 1.7) * _gate(samples, 0.05, 1.2))


def vibraphone(midi: int, seconds: float) -> Mono:
    """A bar over a turning fan."""
    samples = count(seconds + 1.2)
    t, f = clock(samples), hertz(midi)
    voice = np.sin(math.tau * f * t) * np.exp(-t / 1.1)
    voice += 0.3 * np.sin(math.tau * f * 4 * t) * np.exp(-t / 0.18)
    fan = 1 + 0.25 * np.sin(math.tau * 5.2 * t)
    return _sound(voice * fan * 0.75 * _gate(samples, 0.003, 0.5))


def flute(midi: int, seconds: float) -> Mono:
    """A soft tone with breath in it; the vibrato comes late."""
    samples = count(seconds + 0.12)
    t = clock(samples)
    vibrato = 1 + 0.005 * np.clip(t / 0.4 - 0.4, 0, 1) * np.sin(math.tau * 5.1 * t)
    phase = np.cumsum(hertz(midi) * vibrato) * (math.tau / RATE)
    voice = np.sin(phase) + 0.28 * np.sin(2 * phase) + 0.1 * np.sin(3 * phase)
    breath = band(noise(samples, np.random.default_rng(midi)), 900, 5000, order=1)
    return _sound((voice * 0.75 + breath * 0.12) * _gate(samples, 0.06, 0.12))


def strings(midi: int, seconds: float) -> Mono:
    """Three players, not quite together."""
    return _bowed(midi, seconds, attack=0.14, release=0.45, brightness=1.25)


def pad(midi: int, seconds: float) -> Mono:
    """A cloud of strings."""
    return _bowed(midi, seconds, attack=0.6, release=1.4, brightness=1.9)


def brass(midi: int, seconds: float) -> Mono:
    """A horn: the louder, the brighter, a moment after its start."""
    samples = count(seconds * 0.92 + 0.06)
    t, f = clock(samples), hertz(midi)
    opening = np.clip(t / 0.07, 0, 1)
    voice = np.zeros(samples)
    for k in range(1, _partials(f, 11) + 1):
        voice += np.sin(math.tau * f * k * t) * opening ** (0.4 * k) / k**1.15
    return _sound(voice * 0.55 * _gate(samples, 0.03, 0.09))


def square(midi: int, seconds: float) -> Mono:
    """The lead of an old game console."""
    samples = count(seconds * 0.88)
    t, f = clock(samples), hertz(midi)
    voice = sum(np.sin(math.tau * f * k * t) / k for k in range(1, _partials(f, 20) + 1, 2))
    return _sound(np.asarray(voice) * 0.8 * _gate(samples, 0.003, 0.03) * np.exp(-t / 0.9))


def triangle(midi: int, seconds: float) -> Mono:
    """Its bass."""
    samples = count(seconds * 0.9)
    t, f = clock(samples), hertz(midi)
    voice = sum(
        (-1) ** (k // 2) * np.sin(math.tau * f * k * t) / k**2
        for k in range(1, _partials(f, 12) + 1, 2)
    )
    return _sound(np.asarray(voice) * _gate(samples, 0.003, 0.03))


def bass(midi: int, seconds: float) -> Mono:
    """A double bass, plucked."""
    samples = count(seconds + 0.12)
    voice = _struck(midi, samples, strength=lambda k: 1 / k**1.9, fall=0.8)
    return _sound(voice * _gate(samples, 0.008, 0.11))


def synth_bass(midi: int, seconds: float) -> Mono:
    """A saw that closes like a mouth."""
    samples = count(seconds * 0.94 + 0.03)
    t, f = clock(samples), hertz(midi)
    voice = np.zeros(samples)
    for k in range(1, _partials(f, 14) + 1):
        voice += np.sin(math.tau * f * k * t) / k * np.exp(-t * k / 1.1)
    return _sound(voice * 0.7 * _gate(samples, 0.004, 0.04))


def _struck(midi: int, samples: int, *, strength: Callable[[int], float], fall: float) -> Mono:
    """A string left alone: high partials die first, and lie a little too high."""
    t, f = clock(samples), hertz(midi)
    ring = fall * (220 / f) ** 0.4
    voice = np.zeros(samples)
    for k in range(1, _partials(f, 22) + 1):
        partial = f * k * math.sqrt(1 + 0.00012 * k * k)
        voice += strength(k) * np.sin(math.tau * partial * t) * np.exp(-t * (0.6 + 0.4 * k) / ring)
    peak = float(np.abs(voice[: count(0.05)]).max())
    return _sound(voice / max(peak, 1e-6)) * decay(samples, 60.0, attack=0.003)


def _bowed(midi: int, seconds: float, *, attack: float, release: float, brightness: float) -> Mono:
    samples = count(seconds + release)
    t, f = clock(samples), hertz(midi)
    voice = np.zeros(samples)
    for player, detune in enumerate((0.9968, 1.0, 1.0034)):
        sway = 0.0022 * np.sin(math.tau * (4.3 + 0.5 * player) * t + player * 2)
        phase = np.cumsum(f * detune * (1 + sway)) * (math.tau / RATE)
        for k in range(1, _partials(f, 9) + 1):
            voice += np.sin(k * phase + player * k) / k**brightness
    return _sound(voice * 0.28 * _gate(samples, min(attack, seconds * 0.6), release))


def _partials(base: float, most: int) -> int:
    return max(1, min(most, int(_TOP_HERTZ / base)))


def _gate(samples: int, attack: float, release: float) -> NDArray[np.float64]:
    t = clock(samples)
    rise = np.clip(t / attack, 0, 1)
    fall = np.clip((samples / RATE - t) / release, 0, 1)
    return np.asarray(rise * np.sin(fall * math.pi / 2) ** 2)


def _sound(voice: NDArray[np.float64]) -> Mono:
    return voice.astype(np.float32)

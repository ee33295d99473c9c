"""Percussion, each beat a little different where it is noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.sound.signal import (
    band,
    count,
    decay,
    noise,
    resonant,
    sweep,
    swell,
    tone,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.backends.embedded.sound.signal import Mono


def _kick(rng: np.random.Generator) -> Mono:
    samples = count(0.34)
    fall = 46 + 90 * np.exp(-np.linspace(0, 9, samples))
    click = band(noise(samples, rng), 1500, 5000) * decay(samples, 0.004)
    return sweep(fall) * decay(samples, 0.11) + click * np.float32(0.5)


def _snare(rng: np.random.Generator) -> Mono:
    samples = count(0.26)
    wires = band(noise(samples, rng), 1200, 9000, order=1) * decay(samples, 0.06)
    skin = tone(188, samples) * decay(samples, 0.045)
    return wires * np.float32(1.6) + skin * np.float32(0.5)


def _hat(rng: np.random.Generator) -> Mono:
    samples = count(0.07)
    return band(noise(samples, rng), 7000, 15000) * decay(samples, 0.018) * np.float32(1.6)


def _shaker(rng: np.random.Generator) -> Mono:
    samples = count(0.1)
    return band(noise(samples, rng), 4500, 11000) * swell(samples, peak=0.35) * np.float32(1.1)


def _clap(rng: np.random.Generator) -> Mono:
    samples = count(0.24)
    hands = band(noise(samples, rng), 900, 3500)
    shape = decay(samples, 0.05)
    for k in (1, 2):
        start = count(0.011 * k)
        shape[start:] += decay(samples - start, 0.05)
    return hands * shape * np.float32(1.0)


def _ride(rng: np.random.Generator) -> Mono:
    samples = count(0.5)
    metal = sum(tone(f, samples) for f in (3170.0, 4090.0, 5230.0, 6410.0, 7640.0))
    stick = band(noise(samples, rng), 5000, 12000) * decay(samples, 0.02)
    body = np.asarray(metal, np.float32) * decay(samples, 0.16) * np.float32(0.07)
    return body + stick * np.float32(0.7)


def _brush(rng: np.random.Generator) -> Mono:
    samples = count(0.2)
    return band(noise(samples, rng), 1800, 8000, order=1) * swell(samples, peak=0.2)


def _timpani(rng: np.random.Generator) -> Mono:
    samples = count(1.3)
    skin = resonant(noise(samples, rng), ((82, 4, 3.0), (123, 5, 1.6), (164, 7, 1.0)))
    boom = tone(73, samples) * decay(samples, 0.4)
    return skin * decay(samples, 0.35) * np.float32(3.0) + boom * np.float32(0.8)


DRUMS: dict[str, Callable[[np.random.Generator], Mono]] = {
    "kick": _kick,
    "snare": _snare,
    "hat": _hat,
    "shaker": _shaker,
    "clap": _clap,
    "ride": _ride,
    "brush": _brush,
    "timpani": _timpani,
}

"""Sea, stream, and what it sounds like below."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.sound.signal import (
    add,
    band,
    clock,
    count,
    decay,
    lowpass,
    noise,
    spread,
    sweep,
    swell,
    travel,
    wander,
)

if TYPE_CHECKING:
    from generation_service.backends.embedded.sound.signal import Mono, Stereo


def sea(samples: int, rng: np.random.Generator) -> Stereo:
    """Waves that gather, break and run out over the sand."""
    bed = np.stack([lowpass(noise(samples, rng), 380, order=1) for _ in range(2)], axis=1)
    mix = bed * np.float32(0.25)
    at = -2.5
    while at < samples / 44_100:
        length = count(rng.uniform(5.0, 7.0))
        body = band(noise(length, rng), 90, 900, order=1) * swell(length, peak=0.42)
        foam = band(noise(length, rng), 1300, 8000, order=1) * swell(length, peak=0.55) ** 2
        places = np.linspace(-0.7, 0.7, length, dtype=np.float32) * rng.choice((-1, 1))
        wave = travel(body * np.float32(1.5) + foam * np.float32(0.75), places * np.float32(0.8))
        add(mix, wave, round(at * 44_100), rng.uniform(0.7, 1.1))
        at += rng.uniform(3.0, 4.4)
    return mix


def stream(samples: int, rng: np.random.Generator) -> Stereo:
    """Hundreds of bubbles over a soft rush."""
    rush = np.stack([band(noise(samples, rng), 350, 2600, order=1) for _ in range(2)], axis=1)
    mix = rush * np.float32(0.16)
    for _ in range(int(samples / 44_100 * 60)):
        at = int(rng.integers(0, samples))
        add(mix, spread(_bubble(rng, 420, 1900), rng.uniform(-0.9, 0.9)), at, rng.uniform(0.1, 0.5))
    return mix


def underwater(samples: int, rng: np.random.Generator) -> Stereo:
    """A deep hum, slow currents, and bubbles that rise in strings."""
    hum = np.stack([lowpass(noise(samples, rng), 130) for _ in range(2)], axis=1)
    mix = hum * (0.5 + wander(samples, rng, seconds=2.2))[:, None] * np.float32(1.5)
    at = 0.2
    while at < samples / 44_100:
        place, low = rng.uniform(-0.8, 0.8), rng.uniform(180, 420)
        for k in range(int(rng.integers(4, 12))):
            bubble = _bubble(rng, low * (1 + 0.09 * k), low * (1.3 + 0.09 * k))
            start = count(at + 0.085 * k + rng.uniform(0, 0.05))
            add(mix, spread(bubble, place + rng.uniform(-0.15, 0.15)), start, 0.7)
        at += rng.uniform(0.9, 2.2)
    return mix


def whale(samples: int, rng: np.random.Generator) -> Stereo:
    """Long calls that glide, each with its echo."""
    mix = np.zeros((samples, 2), np.float32)
    at = 0.3
    while at < samples / 44_100:
        length = count(rng.uniform(1.6, 3.0))
        t = np.linspace(0, 1, length)
        low, bend = rng.uniform(140, 260), rng.uniform(0.6, 1.6)
        curve = low * (1 + bend * np.sin(math.pi * t ** rng.uniform(0.6, 1.8)))
        curve = curve * (1 + 0.012 * np.sin(math.tau * 5.5 * clock(length)))
        call = sweep(curve) + 0.35 * sweep(curve * 2) + 0.12 * sweep(curve * 3)
        voice = (call * swell(length, peak=0.35)).astype(np.float32)
        place = rng.uniform(-0.7, 0.7)
        for echo in range(4):
            start = count(at + 0.55 * echo)
            add(mix, spread(voice, place * (-0.8) ** echo), start, 0.42 * 0.5**echo)
        at += rng.uniform(2.6, 4.5)
    return mix


def _bubble(rng: np.random.Generator, low: float, high: float) -> Mono:
    """A blip whose pitch rises as the bubble shrinks."""
    length = count(rng.uniform(0.03, 0.09))
    pitch = rng.uniform(low, high)
    curve = pitch * (1 + np.linspace(0, rng.uniform(0.1, 0.5), length))
    return sweep(curve) * decay(length, 0.02)

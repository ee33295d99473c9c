"""What the sky does, and fire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.sound.signal import (
    add,
    band,
    count,
    decay,
    lowpass,
    noise,
    resonant,
    spread,
    sweep,
    tone,
    travel,
    wander,
)

if TYPE_CHECKING:
    from generation_service.backends.embedded.sound.signal import Stereo


def rain(samples: int, rng: np.random.Generator) -> Stereo:
    """A hiss of far drops, and near ones that splash one by one."""
    hiss = np.stack([band(noise(samples, rng), 900, 7000, order=1) for _ in range(2)], axis=1)
    gusts = 0.75 + 0.25 * wander(samples, rng, seconds=2.5)
    mix = hiss * gusts[:, None] * np.float32(0.32)
    for _ in range(int(samples / 44_100 * 55)):
        length = count(rng.uniform(0.006, 0.03))
        pitch = rng.uniform(1400, 5200)
        drop = tone(pitch, length, phase=rng.uniform(0, 6.2)) * decay(length, 0.006, attack=0.0008)
        drop += noise(length, rng) * decay(length, 0.003) * np.float32(0.6)
        at = int(rng.integers(0, samples))
        add(mix, spread(drop, rng.uniform(-0.95, 0.95)), at, rng.uniform(0.03, 0.3))
    return mix


def thunder(samples: int, rng: np.random.Generator) -> Stereo:
    """A crack and a long roll, every some seconds."""
    mix = np.zeros((samples, 2), np.float32)
    at = rng.uniform(0.4, 1.6)
    while at < samples / 44_100:
        length = count(rng.uniform(4.0, 6.0))
        roll = lowpass(noise(length, rng), 110) * decay(length, 1.7, attack=0.12)
        roll *= 0.35 + wander(length, rng, seconds=0.22)
        crack = band(noise(length, rng), 180, 2600, order=1) * decay(length, 0.16)
        side = rng.uniform(-0.6, 0.6)
        places = (side + 0.5 * (wander(length, rng, seconds=1.5) - 0.5)).astype(np.float32)
        add(mix, travel(roll * np.float32(5.0) + crack * np.float32(1.0), places), count(at))
        at += rng.uniform(5.0, 8.0)
    return mix


def wind(samples: int, rng: np.random.Generator) -> Stereo:
    """Three whistling bands whose strength comes and goes."""
    mix = np.zeros((samples, 2), np.float32)
    for pitch, gain in ((240, 1.5), (430, 1.2), (820, 0.55)):
        centre = pitch * rng.uniform(0.85, 1.2)
        breath = resonant(noise(samples, rng), ((centre, centre * 0.16, 1.0),))
        gusts = wander(samples, rng, seconds=rng.uniform(1.3, 2.6)) ** 2 + 0.07
        places = wander(samples, rng, seconds=4.0) * 1.6 - 0.8
        mix += travel(breath * gusts * np.float32(gain * 1.6), places)
    return mix + np.stack(
        [lowpass(noise(samples, rng), 160, order=1) for _ in range(2)], axis=1
    ) * np.float32(0.35)


def fire(samples: int, rng: np.random.Generator) -> Stereo:
    """A low roar, a flutter, and wood that cracks."""
    roar = np.stack([band(noise(samples, rng), 60, 420, order=1) for _ in range(2)], axis=1)
    flutter = 0.55 + 0.45 * wander(samples, rng, seconds=0.13)
    mix = roar * flutter[:, None] * np.float32(0.5)
    at = 0.1
    while at < samples / 44_100:
        for _ in range(int(rng.integers(1, 5))):
            length = count(rng.uniform(0.01, 0.05))
            snap = band(noise(length, rng), 900, 6500, order=1) * decay(length, 0.006, attack=5e-4)
            start = count(at + rng.exponential(0.06))
            add(mix, spread(snap, rng.uniform(-0.7, 0.7)), start, rng.uniform(0.4, 2.4))
        at += rng.exponential(0.22)
    return mix


def space(samples: int, rng: np.random.Generator) -> Stereo:
    """A wide chord that breathes, and a far shimmer."""
    mix = np.zeros((samples, 2), np.float32)
    root = rng.uniform(52, 62)
    for ratio, gain in ((1, 1.0), (1.5, 0.7), (2, 0.55), (3, 0.3), (4.5, 0.18), (6, 0.1)):
        drift = 1 + 0.004 * (wander(samples, rng, seconds=3.0) - 0.5)
        breath = 0.35 + 0.65 * wander(samples, rng, seconds=rng.uniform(2.0, 4.0))
        places = wander(samples, rng, seconds=5.0) * 1.8 - 0.9
        mix += travel(sweep(root * ratio * drift) * breath * np.float32(0.22 * gain), places)
    dust = resonant(noise(samples, rng), ((2400, 60, 1.0), (3600, 80, 0.7), (4811, 90, 0.4)))
    return mix + travel(
        dust * wander(samples, rng, seconds=1.7) * np.float32(0.8),
        wander(samples, rng, seconds=2.0) * 2 - 1,
    )

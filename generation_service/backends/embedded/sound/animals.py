"""Voices of animals, each from a few gliding tones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.sound.signal import (
    Mono,
    add,
    band,
    clock,
    count,
    decay,
    noise,
    resonant,
    spread,
    sweep,
    swell,
    tone,
    travel,
    wander,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.backends.embedded.sound.signal import Stereo


def birds(samples: int, rng: np.random.Generator) -> Stereo:
    """Three or four singers, each with a motif of its own that it repeats."""
    mix = np.zeros((samples, 2), np.float32)
    for _ in range(int(rng.integers(3, 5))):
        place, base = rng.uniform(-0.9, 0.9), rng.uniform(2300, 4600)
        motif = [
            (rng.uniform(-0.3, 0.35), rng.uniform(-0.35, 0.35), rng.uniform(0.05, 0.17))
            for _ in range(int(rng.integers(2, 6)))
        ]
        at, gain = rng.uniform(0.1, 1.5), rng.uniform(0.1, 0.3)
        while at < samples / 44_100:
            start = at
            for step, bend, seconds in motif:
                length = count(seconds)
                curve = base * (1 + step + bend * np.linspace(0, 1, length))
                if seconds > 0.13:
                    curve = curve * (1 + 0.06 * np.sin(math.tau * 28 * clock(length)))
                add(mix, spread(sweep(curve) * swell(length), place), count(start), gain)
                start += seconds + rng.uniform(0.01, 0.05)
            at = start + rng.uniform(0.5, 2.2)
    return mix


def gulls(samples: int, rng: np.random.Generator) -> Stereo:
    """Falling cries in a row."""

    def cry() -> Mono:
        length = count(rng.uniform(0.25, 0.42))
        t = np.linspace(0, 1, length)
        curve = rng.uniform(1000, 1250) * (1 + 0.45 * np.sin(math.pi * t**0.6))
        voice = sweep(curve) + 0.6 * sweep(curve * 2) + 0.4 * sweep(curve * 3)
        return np.asarray(voice * swell(length, peak=0.25) * np.float32(0.4), np.float32)

    return _calls(samples, rng, cry, times=(3, 7), gap=0.42, pause=(1.6, 3.6))


def owl(samples: int, rng: np.random.Generator) -> Stereo:
    """Hoo, hoo-hoo."""
    pitch = rng.uniform(330, 410)

    def hoot() -> Mono:
        length = count(rng.uniform(0.28, 0.5))
        curve = pitch * (1 + 0.07 * np.sin(math.pi * np.linspace(0, 1, length)))
        breath = band(noise(length, rng), 300, 800) * np.float32(0.3)
        return ((sweep(curve) + breath) * swell(length, peak=0.4)).astype(np.float32)

    return _calls(samples, rng, hoot, times=(2, 3), gap=0.55, pause=(2.0, 4.0))


def crickets(samples: int, rng: np.random.Generator) -> Stereo:
    """Several scrapers, each with its pitch and beat."""
    mix = np.zeros((samples, 2), np.float32)
    t = clock(samples)
    for _ in range(5):
        pitch, beat = rng.uniform(3900, 5200), rng.uniform(1.7, 2.6)
        chirps = np.clip(np.sin(math.tau * beat * t + rng.uniform(0, 6)) - 0.15, 0, 1)
        rasp = np.clip(np.sin(math.tau * rng.uniform(26, 34) * t), 0, 1)
        voice = (tone(pitch, samples) * chirps * rasp).astype(np.float32)
        mix += spread(voice, rng.uniform(-1, 1)) * np.float32(rng.uniform(0.05, 0.16))
    return mix


def frogs(samples: int, rng: np.random.Generator) -> Stereo:
    """Croaks that answer each other."""
    pitch = rng.uniform(420, 560)

    def croak() -> Mono:
        length = count(rng.uniform(0.2, 0.34))
        pulses = np.clip(np.sin(math.tau * rng.uniform(24, 32) * clock(length)), 0, 1) ** 2
        voice = sweep(pitch * (1 + 0.12 * np.linspace(0, 1, length)))
        return np.asarray(voice * pulses * swell(length) * np.float32(0.8), np.float32)

    return _calls(samples, rng, croak, times=(2, 5), gap=0.4, pause=(0.3, 1.3))


def bees(samples: int, rng: np.random.Generator) -> Stereo:
    """A few that come near, pass and leave."""
    mix = np.zeros((samples, 2), np.float32)
    for _ in range(4):
        pitch = rng.uniform(170, 245) * (0.93 + 0.14 * wander(samples, rng, seconds=0.35))
        voice = sum(sweep(pitch * k) * np.float32(0.75 ** (k - 1)) for k in range(1, 9))
        near = wander(samples, rng, seconds=rng.uniform(0.9, 1.8)) ** 2 + 0.04
        places = wander(samples, rng, seconds=1.1) * 2.4 - 1.2
        mix += travel(np.asarray(voice, np.float32) * near * np.float32(0.15), places)
    return mix


def cat(samples: int, rng: np.random.Generator) -> Stereo:
    """Meows between stretches of purring."""
    t = clock(samples)
    purr = band(noise(samples, rng), 60, 420) * (0.4 + 0.6 * np.sin(math.tau * 25 * t) ** 2)
    purr = purr * (0.35 + 0.65 * np.sin(math.tau * 0.42 * t) ** 2)
    mix = spread(purr.astype(np.float32), 0.1) * np.float32(0.9)

    def meow() -> Mono:
        length = count(rng.uniform(0.55, 0.85))
        share = np.linspace(0, 1, length)
        curve = rng.uniform(430, 560) * (1 + 0.5 * np.sin(math.pi * share**0.7))
        voice = sum(sweep(curve * k) * np.float32(0.7 ** (k - 1)) for k in range(1, 8))
        shaped = resonant(np.asarray(voice, np.float32), ((950, 350, 1.0), (2100, 500, 0.8)))
        return (shaped * swell(length, peak=0.35) * np.float32(0.5)).astype(np.float32)

    return mix + _calls(samples, rng, meow, times=(1, 2), gap=1.0, pause=(1.4, 3.4))


def dog(samples: int, rng: np.random.Generator) -> Stereo:
    """Barks in twos and threes."""
    pitch = rng.uniform(300, 480)

    def bark() -> Mono:
        length = count(rng.uniform(0.13, 0.19))
        curve = pitch * (1.25 - 0.55 * np.linspace(0, 1, length))
        voice = sum(sweep(curve * k) * np.float32(0.8 ** (k - 1)) for k in range(1, 8))
        rough = np.asarray(voice, np.float32) + noise(length, rng) * np.float32(1.5)
        shaped = resonant(rough, ((750, 300, 1.0), (1500, 400, 0.7)))
        return shaped * decay(length, 0.07, attack=0.01) * np.float32(0.8)

    return _calls(samples, rng, bark, times=(2, 4), gap=0.36, pause=(0.9, 2.6))


def horse(samples: int, rng: np.random.Generator) -> Stereo:
    """A gallop that comes from one side and goes to the other."""
    mix = np.zeros((samples, 2), np.float32)
    at, beat = 0.1, rng.uniform(0.42, 0.5)
    total = samples / 44_100
    while at < total:
        for k, offset in enumerate((0.0, 0.26, 0.46)):
            length = count(0.09)
            hoof = resonant(noise(length, rng), ((520 + 160 * k, 120, 1.0), (1300, 250, 0.5)))
            place = 1.6 * (at / total) - 0.8
            part = spread(hoof * decay(length, 0.02, attack=0.001), place)
            add(mix, part, count(at + offset * beat), 2.2 - 0.3 * k)
        at += beat
    return mix


def _calls(
    samples: int,
    rng: np.random.Generator,
    voice: Callable[[], Mono],
    *,
    times: tuple[int, int],
    gap: float,
    pause: tuple[float, float],
) -> Stereo:
    """Groups of calls, each group from its own place; seconds between calls and groups."""
    mix = np.zeros((samples, 2), np.float32)
    at = rng.uniform(0.15, 0.9)
    while at < samples / 44_100:
        place, gain = rng.uniform(-0.8, 0.8), rng.uniform(0.6, 1.0)
        for _ in range(int(rng.integers(times[0], times[1] + 1))):
            add(mix, spread(voice(), place), count(at), gain)
            at += gap * rng.uniform(0.85, 1.25)
        at += rng.uniform(*pause)
    return mix
